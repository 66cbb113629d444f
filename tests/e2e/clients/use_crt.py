"""The AWS Common Runtime, which moves the bytes of AWS's newer clients: it reads everything by ranges, many at once."""

import io

import awscrt
from botocore.config import Config
from botocore.session import Session
from s3transfer.crt import (
    BotocoreCRTCredentialsWrapper,
    BotocoreCRTRequestSerializer,
    CRTTransferManager,
    create_s3_crt_client,
)

from steps import BUCKET, ENDPOINT, LARGE, MIB, REGION, SMALL, step, version

PREFIX = "clients/crt ü+/"
session = Session()
config = {"region_name": REGION, "endpoint_url": ENDPOINT, "config": Config(s3={"addressing_style": "path"})}
credentials = BotocoreCRTCredentialsWrapper(session.get_credentials()).to_crt_credentials_provider()
client = create_s3_crt_client(REGION, credentials, part_size=5 * MIB, use_ssl=False)


def read(manager, name):
    received = io.BytesIO()
    manager.download(BUCKET, PREFIX + name, received).result()
    return received.getvalue()


version(awscrt.__version__)
with CRTTransferManager(client, BotocoreCRTRequestSerializer(session, config)) as s3:
    with step("put"):
        s3.upload(io.BytesIO(SMALL), BUCKET, PREFIX + "small").result()
    with step("get"):
        assert read(s3, "small") == SMALL
    with step("parts"):
        s3.upload(io.BytesIO(LARGE), BUCKET, PREFIX + "large").result()
    with step("range"):
        assert read(s3, "large") == LARGE
    with step("delete"):
        for name in ("small", "large"):
            s3.delete(BUCKET, PREFIX + name).result()
