"""Files that people take away: reports, films and stills."""
