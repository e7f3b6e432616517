"""`python -m app` is `trt-playground`."""

from app.cli.main import main

if __name__ == "__main__":
    main()
