// The AWS SDK for JavaScript, version 3. It says what it did as the scripts in Python do (steps.py).

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { Readable } from "node:stream";

// `require` heeds NODE_PATH, which `import` does not.
const require = createRequire(import.meta.url);
const {
  CopyObjectCommand, DeleteObjectsCommand, GetObjectCommand, PutObjectCommand, S3Client, UploadPartCopyCommand,
  CreateMultipartUploadCommand, CompleteMultipartUploadCommand, paginateListObjectsV2,
} = require("@aws-sdk/client-s3");
const { Upload } = require("@aws-sdk/lib-storage");

const MIB = 1 << 20;
const SMALL = randomBytes(100_000);
const LARGE = randomBytes(20 * MIB + 3);
const RANGES = [[10, 1], [65_000, 70_000], [5 * MIB - 7, 14], [20 * MIB, 3]];

const Bucket = process.env.S3EP_BUCKET;
const PREFIX = "clients/javascript ü+/";
const s3 = new S3Client({ forcePathStyle: true });

async function step(operation, action) {
  await action();
  console.log(`did ${operation}`);
}

async function read(name, Range) {
  const answer = await s3.send(new GetObjectCommand({ Bucket, Key: PREFIX + name, Range }));
  return Buffer.from(await answer.Body.transformToByteArray());
}

async function sizes() {
  const found = {};
  for await (const page of paginateListObjectsV2({ client: s3, pageSize: 2 }, { Bucket, Prefix: PREFIX })) {
    for (const { Key, Size } of page.Contents ?? []) found[Key.slice(PREFIX.length)] = Size;
  }
  return found;
}

const source = (name) => `${Bucket}/${PREFIX}${name}`.split("/").map(encodeURIComponent).join("/");

console.log(`version ${require("@aws-sdk/client-s3/package.json").version}`);
await step("put", async () => {
  await s3.send(new PutObjectCommand({ Bucket, Key: PREFIX + "small", Body: SMALL }));
  await s3.send(new PutObjectCommand({ Bucket, Key: PREFIX + "empty", Body: "" }));
  // A stream: aws-chunked, with its checksum in the trailer.
  const Body = Readable.from([SMALL.subarray(0, 70_000), SMALL.subarray(70_000)]);
  await s3.send(new PutObjectCommand({ Bucket, Key: PREFIX + "stream", Body, ContentLength: SMALL.length }));
});
await step("get", async () => {
  assert(SMALL.equals(await read("small")));
  assert(SMALL.equals(await read("stream")));
  assert.equal((await read("empty")).length, 0);
});
await step("parts", async () => {
  const Body = Readable.from([LARGE.subarray(0, 7 * MIB), LARGE.subarray(7 * MIB)]);
  await new Upload({ client: s3, params: { Bucket, Key: PREFIX + "large", Body } }).done();
  assert(LARGE.equals(await read("large")));
});
await step("range", async () => {
  for (const [start, length] of RANGES) {
    const expected = LARGE.subarray(start, start + length);
    assert(expected.equals(await read("large", `bytes=${start}-${start + length - 1}`)));
  }
});
await step("copy", async () => {
  await s3.send(new CopyObjectCommand({ Bucket, Key: PREFIX + "copy", CopySource: source("small") }));
  assert(SMALL.equals(await read("copy")));
});
await step("copy by parts", async () => {
  const target = { Bucket, Key: PREFIX + "pieces" };
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand(target));
  const Parts = [];
  for (const [index, CopySourceRange] of ["bytes=1-6000000", "bytes=6000001-20971522"].entries()) {
    const part = { UploadId, PartNumber: index + 1, CopySource: source("large"), CopySourceRange };
    const { CopyPartResult } = await s3.send(new UploadPartCopyCommand({ ...target, ...part }));
    Parts.push({ PartNumber: index + 1, ETag: CopyPartResult.ETag });
  }
  await s3.send(new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } }));
  assert(LARGE.subarray(1).equals(await read("pieces")));
  await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: target.Key }] } }));
});
await step("list", async () => {
  const [small, large] = [SMALL.length, LARGE.length];
  assert.deepEqual(await sizes(), { copy: small, empty: 0, large, small, stream: small });
});
await step("delete", async () => {
  const Objects = Object.keys(await sizes()).map((name) => ({ Key: PREFIX + name }));
  await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
  assert.deepEqual(await sizes(), {});
});
