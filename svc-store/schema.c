/*
 * schema.c - tables of the index; docs/store-format.md, section 5, tells what they mean.
 *
 * Room: store.  Pure text.  A change is a new version with its own step in index.c; what is here is
 * never edited once a release has it.  States: 0 ready, 1 kept for containers or an index only (images), 2 going,
 * 3 found to be damaged (layers).
 */
#include "index.h"

const char store_schema_v1[] =
    /* one row a layer file; owner: who brought it first (for quotas) */
    "CREATE TABLE layer("
    " k INTEGER PRIMARY KEY, diff_id TEXT NOT NULL UNIQUE, owner INTEGER NOT NULL, state INTEGER NOT NULL,"
    " durable INTEGER NOT NULL, tar_size INTEGER NOT NULL, file_size INTEGER NOT NULL,"
    " index_offset INTEGER NOT NULL, index_size INTEGER NOT NULL, index_sha256 BLOB NOT NULL,"
    " entries INTEGER NOT NULL, added_ns INTEGER NOT NULL) STRICT;"
    /* one row a file below blobs/; kind: 1 manifest, 2 config, 3 index, 4 compressed layer, 5 other */
    "CREATE TABLE blob("
    " k INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, owner INTEGER NOT NULL, state INTEGER NOT NULL,"
    " durable INTEGER NOT NULL, kind INTEGER NOT NULL, size INTEGER NOT NULL, codec TEXT NOT NULL,"
    " added_ns INTEGER NOT NULL) STRICT;"
    /* an image of one owner; id is the digest of its config; labels: key NUL value NUL ..;
       reduced: packed bulkhead.image.v1.ImageConfig */
    "CREATE TABLE image("
    " k INTEGER PRIMARY KEY, owner INTEGER NOT NULL, id TEXT NOT NULL, state INTEGER NOT NULL,"
    " config INTEGER NOT NULL REFERENCES blob(k), parent TEXT NOT NULL, manifest TEXT NOT NULL,"
    " created_ns INTEGER NOT NULL, added_ns INTEGER NOT NULL, last_used_ns INTEGER NOT NULL,"
    " last_tag_ns INTEGER NOT NULL, size INTEGER NOT NULL, os TEXT NOT NULL, arch TEXT NOT NULL,"
    " variant TEXT NOT NULL, labels BLOB NOT NULL, reduced BLOB NOT NULL, UNIQUE(owner, id)) STRICT;"
    "CREATE INDEX image_by_id ON image(id);"
    "CREATE INDEX image_by_parent ON image(parent) WHERE parent <> '';"
    "CREATE INDEX image_by_config ON image(config);"
    "CREATE TABLE image_layer("
    " image INTEGER NOT NULL REFERENCES image(k) ON DELETE CASCADE, pos INTEGER NOT NULL,"
    " layer INTEGER NOT NULL REFERENCES layer(k), PRIMARY KEY(image, pos)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX image_layer_by_layer ON image_layer(layer);"
    /* documents that came with an image beside its manifests (indexes, attestations) */
    "CREATE TABLE image_blob("
    " image INTEGER NOT NULL REFERENCES image(k) ON DELETE CASCADE,"
    " blob INTEGER NOT NULL REFERENCES blob(k), PRIMARY KEY(image, blob)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX image_blob_by_blob ON image_blob(blob);"
    /* manifests that say this image; made: written by this store */
    "CREATE TABLE manifest("
    " k INTEGER PRIMARY KEY, image INTEGER NOT NULL REFERENCES image(k) ON DELETE CASCADE,"
    " digest TEXT NOT NULL, blob INTEGER NOT NULL REFERENCES blob(k), media TEXT NOT NULL,"
    " config_media TEXT NOT NULL, made INTEGER NOT NULL, UNIQUE(image, digest)) STRICT;"
    "CREATE INDEX manifest_by_digest ON manifest(digest);"
    "CREATE INDEX manifest_by_blob ON manifest(blob);"
    "CREATE TABLE manifest_layer("
    " manifest INTEGER NOT NULL REFERENCES manifest(k) ON DELETE CASCADE, pos INTEGER NOT NULL,"
    " digest TEXT NOT NULL, size INTEGER NOT NULL, media TEXT NOT NULL,"
    " PRIMARY KEY(manifest, pos)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX manifest_layer_by_digest ON manifest_layer(digest);"
    /* repo: canonical, \"docker.io/library/debian\"; either tag or digest is empty */
    "CREATE TABLE name("
    " owner INTEGER NOT NULL, repo TEXT NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL,"
    " image INTEGER NOT NULL REFERENCES image(k), set_ns INTEGER NOT NULL,"
    " PRIMARY KEY(owner, repo, tag, digest)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX name_by_image ON name(image);"
    "CREATE TABLE container("
    " id TEXT PRIMARY KEY, owner INTEGER NOT NULL, name TEXT NOT NULL, image_id TEXT NOT NULL,"
    " image INTEGER REFERENCES image(k), running INTEGER NOT NULL, noted_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX container_by_image ON container(image);"
    /* content in flight: not collected before the lease ends; kind 1 layer, 2 blob */
    "CREATE TABLE lease("
    " k INTEGER PRIMARY KEY, owner INTEGER NOT NULL, purpose TEXT NOT NULL, expires_ns INTEGER NOT NULL) STRICT;"
    "CREATE TABLE lease_item("
    " lease INTEGER NOT NULL REFERENCES lease(k) ON DELETE CASCADE, kind INTEGER NOT NULL, digest TEXT NOT NULL,"
    " PRIMARY KEY(lease, kind, digest)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX lease_item_by_digest ON lease_item(digest);"
    "PRAGMA user_version = 1;";

/* verified: this room has read the content itself and found the digest that a worker told. */
const char store_schema_v2[] = "ALTER TABLE layer ADD COLUMN verified INTEGER NOT NULL DEFAULT 0;"
                               "ALTER TABLE blob ADD COLUMN verified INTEGER NOT NULL DEFAULT 0;"
                               "PRAGMA user_version = 2;";

/* content: sum of the sizes of its files, which is what docker calls the size of a layer; NULL: not known.
   name.idx: the index that its image was chosen from, "" if none.  index_image: what is here of an index, by the
   manifest that the index names (media: of the index); while a name has that index, images of other platforms stay
   (state 1). */
const char store_schema_v3[] =
    "ALTER TABLE layer ADD COLUMN content INTEGER;"
    "ALTER TABLE name ADD COLUMN idx TEXT NOT NULL DEFAULT '';"
    "CREATE INDEX name_by_idx ON name(idx) WHERE idx <> '';"
    "CREATE TABLE index_image("
    " idx TEXT NOT NULL, image INTEGER NOT NULL REFERENCES image(k) ON DELETE CASCADE,"
    " manifest TEXT NOT NULL, media TEXT NOT NULL, PRIMARY KEY(idx, image)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX index_image_by_image ON index_image(image);"
    "PRAGMA user_version = 3;";

/* blob.diff_id: the tar that a compressed layer is a form of, found by unpacking it; "" of other blobs.  Only
 * who has that tar is given the blob.  image.artifact: its type, "" of an image that runs. */
const char store_schema_v4[] =
    "ALTER TABLE blob ADD COLUMN diff_id TEXT NOT NULL DEFAULT '';"
    "UPDATE blob SET diff_id=ifnull((SELECT l.diff_id FROM manifest_layer ml JOIN manifest m ON m.k=ml.manifest"
    " JOIN image_layer il ON il.image=m.image AND il.pos=ml.pos JOIN layer l ON l.k=il.layer"
    " WHERE ml.digest=blob.digest LIMIT 1),'') WHERE kind=4;"
    "CREATE INDEX blob_by_diff_id ON blob(diff_id) WHERE diff_id <> '';"
    "ALTER TABLE image ADD COLUMN artifact TEXT NOT NULL DEFAULT '';"
    /* a download that was interrupted: its bytes so far are partial/p<k> */
    "CREATE TABLE partial("
    " k INTEGER PRIMARY KEY, owner INTEGER NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL,"
    " updated_ns INTEGER NOT NULL, expires_ns INTEGER NOT NULL, UNIQUE(owner, digest)) STRICT;"
    /* repositories of registries that had a blob when last heard of */
    "CREATE TABLE blob_source("
    " owner INTEGER NOT NULL, digest TEXT NOT NULL, repo TEXT NOT NULL, seen_ns INTEGER NOT NULL,"
    " PRIMARY KEY(owner, digest, repo)) STRICT, WITHOUT ROWID;"
    "PRAGMA user_version = 4;";

/* What steps of builds gave, by keys of the build room; and images that live as long as a hold (lease_item kind 3). */
const char store_schema_v5[] =
    "CREATE TABLE cache("
    " k INTEGER PRIMARY KEY, owner INTEGER NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL, note BLOB NOT NULL,"
    " description TEXT NOT NULL, created_ns INTEGER NOT NULL, last_used_ns INTEGER NOT NULL, uses INTEGER NOT NULL,"
    " UNIQUE(owner, key)) STRICT;"
    "CREATE TABLE cache_layer("
    " cache INTEGER NOT NULL REFERENCES cache(k) ON DELETE CASCADE, pos INTEGER NOT NULL,"
    " layer INTEGER NOT NULL REFERENCES layer(k), PRIMARY KEY(cache, pos)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX cache_layer_by_layer ON cache_layer(layer);"
    "PRAGMA user_version = 5;";
