"""Pictures that move while one drags: drawn by the browser from data that is sent once."""
