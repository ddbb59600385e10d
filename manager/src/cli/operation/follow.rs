//! The news of an operation, over every break of the stream.

use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    cli::{
        client::Client,
        exit::{Exit, Failure},
        watch::{AGAIN, frames},
    },
    grid::operation::view::OperationNews,
};

/// What is told of an operation that is followed.
pub enum Told {
    /// What is new.
    News(Box<OperationNews>),
    /// The stream broke; it is opened again until it is there.
    Lost(String),
    /// The stream is there again.
    Back,
    /// Something that is not understood, and why.
    Unreadable(String),
}

/// What a stream of events tells, one text after the other.
type Texts = Pin<Box<dyn Stream<Item = Result<String, String>>>>;

/// Follows an operation.
pub struct Follower<'a> {
    client: &'a Client,
    path: String,
    stream: Option<Texts>,
    /// When a stream that broke is opened again.
    again: Option<Instant>,
}

impl<'a> Follower<'a> {
    /// Follows an operation from now on.
    pub fn new(client: &'a Client, id: Uuid) -> Self {
        Self { client, path: format!("/operations/{id}/stream"), stream: None, again: None }
    }

    /// What is told next.
    pub async fn next(&mut self) -> Result<Told, Failure> {
        loop {
            let Some(stream) = &mut self.stream else {
                if let Some(again) = self.again {
                    tokio::time::sleep_until(again).await;
                }
                match self.client.stream(&self.path, None).await {
                    Ok(response) => self.stream = Some(Box::pin(frames(response))),
                    // Said once.
                    Err(failure) if failure.exit == Exit::Unreachable => match self.lose() {
                        true => return Ok(Told::Lost(failure.message)),
                        false => continue,
                    },
                    Err(failure) => return Err(failure),
                }
                if self.again.take().is_some() {
                    return Ok(Told::Back);
                }
                continue;
            };
            let why = match stream.next().await {
                Some(Ok(data)) => {
                    let read = serde_json::from_str(&data).map(Box::new);
                    return Ok(read.map_or_else(|error| Told::Unreadable(error.to_string()), Told::News));
                }
                Some(Err(why)) => why,
                None => "the manager closed it".to_owned(),
            };
            self.stream = None;
            self.lose();
            return Ok(Told::Lost(why));
        }
    }

    /// Notes that the stream is to be opened again; returns whether it was there before.
    fn lose(&mut self) -> bool {
        self.again.replace(Instant::now() + AGAIN).is_none()
    }
}
