"""Work behind the pages: in threads of its own, with progress and cancellation."""
