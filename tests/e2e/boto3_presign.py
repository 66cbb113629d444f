"""Prints presigned URLs, a line each: to put an object, to get it, and to get it within one second."""

from botocore.config import Config
from s3 import BUCKET, client

OBJECT = {"Bucket": BUCKET, "Key": "auth/presigned +ü"}

s3 = client(config=Config(signature_version="s3v4"))
print(s3.generate_presigned_url("put_object", OBJECT, ExpiresIn=60))
print(s3.generate_presigned_url("get_object", OBJECT, ExpiresIn=60))
print(s3.generate_presigned_url("get_object", OBJECT, ExpiresIn=1))
