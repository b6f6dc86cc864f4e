"""`python -m rmft_api` is `rmft-api`."""

from rmft_api.cli.main import main

if __name__ == "__main__":
    main()
