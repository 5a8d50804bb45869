"""What the launcher of the Flex Template runs."""  # noqa: INP001 - a script, copied into the image

from questline_beam.flex import main

if __name__ == "__main__":
    main()
