package probe;

import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Answers "ok" at once, "slept" after the asked time at /sleep?ms=N, and the number of requests asleep
 * at /sleepers; may take its time to start.
 */
public class Probe extends HttpServlet {
    private final AtomicInteger sleepers = new AtomicInteger();

    @Override
    public void init() {
        pause(getServletContext().getInitParameter("initSleep"));
    }

    @Override
    protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
        response.setContentType("text/plain");
        response.getWriter().print(answer(request));
    }

    private String answer(HttpServletRequest request) {
        String path = request.getPathInfo();
        if ("/sleepers".equals(path)) {
            return Integer.toString(sleepers.get());
        }
        if (!"/sleep".equals(path)) {
            return "ok";
        }
        sleepers.incrementAndGet();
        pause(request.getParameter("ms"));
        sleepers.decrementAndGet();
        return "slept";
    }

    private static void pause(String milliseconds) {
        if (milliseconds == null) {
            return;
        }
        try {
            Thread.sleep(Long.parseLong(milliseconds));
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
        }
    }
}
