//! Several tabs of one browser, which share its session and its connections.

use fantoccini::wd::WindowHandle;

use super::Browser;

/// A tab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tab(WindowHandle);

impl Browser {
    /// The tab that is looked at.
    pub async fn tab(&self) -> Tab {
        Tab(self.client.window().await.expect("a tab"))
    }

    /// Opens a tab and looks at it. What was emulated for another is not emulated for it.
    pub async fn open_tab(&self) -> Tab {
        let opened = self.client.new_window(true).await.expect("a tab opens");
        let tab = Tab(opened.handle);
        self.look_at(&tab).await;
        tab
    }

    /// Looks at a tab: everything else is about it from now on.
    pub async fn look_at(&self, tab: &Tab) {
        self.client.switch_to_window(tab.0.clone()).await.expect("the tab is there");
    }
}
