"""What the scripts of the tests share: a client for the stack, and the codes of its errors."""

import os

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

BUCKET = os.environ["S3EP_BUCKET"]


def client(url=os.environ["AWS_ENDPOINT_URL"], config=Config(), **credentials):
    """A path-style client, of the stack unless told otherwise."""
    config = Config(s3={"addressing_style": "path"}).merge(config)
    return boto3.client("s3", endpoint_url=url, region_name=os.environ["AWS_REGION"], config=config, **credentials)


def error_code(call, **arguments):
    """The code of the error that the call has to end in."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    raise AssertionError(f"{call} did not fail")
