"""Hostile archives: the docker form (D), image configs (J), OCI layouts (O), and the outer tar (A).

Expected: "refuse" by the archive job itself; "mismatch": the plan is made, but a layer has not the
digest that was promised, so whoever compares must refuse (the store does; so does run_cases.py);
"unloadable": nothing in the archive can be loaded and the plan says why (field `missing`); "safe": it loads.
"""
import bz2
import hashlib
import json
import lzma

from tarbytes import (GOOD_LAYER, OCI, config, desc, directory, docker_archive, dump, entry, gnu_long, gz, hardlink, header,
                      oci_image, oci_index, oci_layout, oci_parts, sha, symlink, tar)

CASES = []


def case(name, expect, data, word="", load=None, **params):
    """load: the outcome of `bulkhead load` where the store is stricter than the worker."""
    CASES.append(dict(name=name, expect=expect, word=word, params=params, load=load,
                      make=data if callable(data) else (lambda: data)))


GOOD = docker_archive()
CONF = dump(config([sha(GOOD_LAYER)]))
HEX = hashlib.sha256(CONF).hexdigest()


def with_manifest(raw, members=None):
    return docker_archive(manifest=raw, members=members)


def one(**kw):
    m = {"Config": HEX + ".json", "RepoTags": ["hostile/case:1"], "Layers": ["l0/layer.tar"]}
    m.update(kw)
    return with_manifest([m])


# ---- D: docker-archive -----------------------------------------------------------------------

case("D00-good", "safe", GOOD)
case("D01-no-manifest", "refuse", tar(entry(b"x", b"y")), "no image")
case("D02-manifest-not-json", "refuse", with_manifest(b"hello"), "manifest.json")
case("D03-manifest-deep", "refuse", with_manifest(b"[" * 100000 + b"]" * 100000), "manifest.json")
case("D04-duplicate-keys", "refuse",
     with_manifest(b'[{"Config":"a.json","Config":"%s.json","RepoTags":null,"Layers":["l0/layer.tar"]}]' % HEX.encode()), "uplicate")
case("D05-manifest-5-mib", "refuse", with_manifest(b"[" + b" " * (5 << 20) + b"]"), "limits.document")
case("D06-config-dotdot", "refuse", one(Config="../../../etc/passwd"))
case("D07-config-absolute", "refuse", one(Config="/etc/passwd"))
case("D08-layer-dotdot", "refuse", one(Layers=["../../../etc/passwd"]))
case("D09-config-is-link-out", "refuse", with_manifest(
    [{"Config": "c.json", "RepoTags": [], "Layers": ["l0/layer.tar"]}],
    [symlink(b"c.json", b"/etc/passwd"), entry(b"l0/layer.tar", GOOD_LAYER)]), "not in the archive")
case("D10-layer-is-link-inside", "safe", with_manifest(
    [{"Config": HEX + ".json", "RepoTags": ["hostile/case:1"], "Layers": ["b/layer.tar"]}],
    [entry(HEX.encode() + b".json", CONF), entry(b"a/layer.tar", GOOD_LAYER), symlink(b"b/layer.tar", b"../a/layer.tar")]))
case("D11-layer-link-loop", "refuse", with_manifest(
    [{"Config": HEX + ".json", "RepoTags": [], "Layers": ["a"]}],
    [entry(HEX.encode() + b".json", CONF), symlink(b"a", b"b"), symlink(b"b", b"a")]), "not in the archive")
case("D12-layer-is-directory", "refuse", with_manifest(
    [{"Config": HEX + ".json", "RepoTags": [], "Layers": ["a"]}], [entry(HEX.encode() + b".json", CONF), directory(b"a/")]), "not in")
case("D13-layer-is-fifo", "refuse", with_manifest(
    [{"Config": HEX + ".json", "RepoTags": [], "Layers": ["a"]}], [entry(HEX.encode() + b".json", CONF), header(b"a", type=b"6")]), "not in")
case("D14-config-missing", "refuse", one(Config="0" * 64 + ".json"), "not in the archive")
case("D15-fewer-layers", "refuse", docker_archive(diff_ids=[sha(GOOD_LAYER)] * 2), "layer")
case("D16-config-name-lies", "refuse", docker_archive(config_name="0" * 64 + ".json"), "digest")
case("D17-diff-id-lies", "mismatch", docker_archive(diff_ids=["sha256:" + "0" * 64]))
for i, t in enumerate(["../../etc/passwd", "UPPER:case", "a:b:c", "", "a\u001b[31m:1", "a\u0000b", "/abs", "a//b", "x" * 300, "-dash",
                       "name:tag\n", "n\u00e4me:1", "host:99999999/x", "a:" + "t" * 129]):
    case("D18-tag-%02d" % i, "refuse", one(RepoTags=[t]))
case("D18-tag-like-digest", "refuse", one(RepoTags=["sha256:" + "0" * 64]), "digest and no name")
case("D19-10001-images", "refuse", with_manifest([{"Config": HEX + ".json", "RepoTags": [], "Layers": ["l0/layer.tar"]}] * 10001), "limits.images")
case("D20-member-twice", "refuse", docker_archive(members=[entry(HEX.encode() + b".json", CONF), entry(HEX.encode() + b".json", CONF),
                                                           entry(b"l0/layer.tar", GOOD_LAYER)]), "twice")
case("D21-manifest-twice", "refuse", docker_archive(extra=entry(b"./manifest.json", b"[]")), "twice")
case("D22-empty-list", "refuse", with_manifest([]), "no image")
case("D23-object", "refuse", with_manifest({}))
case("D24-not-utf8", "refuse", with_manifest(b'[{"Config":"\xff\xfe","RepoTags":[],"Layers":[]}]'))
case("D25-bytes-behind", "refuse", with_manifest(b"[] []"))
case("D26-other-case-keys", "refuse", with_manifest([{"config": HEX + ".json", "RepoTags": [], "Layers": ["l0/layer.tar"]}]))
case("D27-member-dotdot", "refuse", docker_archive(extra=entry(b"../../etc/evil", b"x")), "leads out")
case("D28-old-docker", "refuse", tar(entry(b"repositories", b"{}")), "no image")
case("D29-layers-wrong-type", "refuse", one(Layers="l0/layer.tar"))
case("D30-layer-name-number", "refuse", one(Layers=[7]))
case("D31-501-layers", "refuse", one(Layers=["l0/layer.tar"] * 501), "limit")
case("D32-1000-tags", "refuse", one(RepoTags=["x:%d" % i for i in range(100000)]))
case("D33-empty-layer-name", "refuse", one(Layers=[""]))
case("D34-layer-hardlink", "safe", with_manifest(
    [{"Config": HEX + ".json", "RepoTags": ["hostile/case:1"], "Layers": ["b/layer.tar"]}],
    [entry(HEX.encode() + b".json", CONF), entry(b"a/layer.tar", GOOD_LAYER), hardlink(b"b/layer.tar", b"a/layer.tar")]))
case("D35-blob-name-lies", "mismatch", docker_archive(layer_names=["blobs/sha256/" + "0" * 64]))
case("D36-null-tags", "safe", one(RepoTags=None))

# ---- J: image config -------------------------------------------------------------------------

D0 = sha(GOOD_LAYER)


def conf(raw=None, **more):
    return docker_archive(conf=raw if raw is not None else config([D0], **more))


case("J01-not-json", "refuse", conf(b"\x7fELF"))
case("J02-5-mib", "refuse", conf(dump(config([D0], author="a" * (5 << 20)))), "limits.document")
case("J03-diff-id-no-digest", "refuse", conf(rootfs={"type": "layers", "diff_ids": ["hello"]}))
case("J04-diff-id-md5", "refuse", conf(rootfs={"type": "layers", "diff_ids": ["md5:" + "0" * 32]}))
case("J05-env-without-equals", "refuse", conf(config={"Env": ["HOSTNAME"]}))
case("J06-deep", "refuse", conf(b'{"a":' * 5000 + b"1" + b"}" * 5000))
case("J07-duplicate-keys", "refuse", conf(dump(config([D0]))[:-1] + b',"os":"windows"}'), "uplicate")
case("J08-cmd-is-text", "safe", conf(config={"Cmd": "/bin/sh"}))
case("J09-rootfs-missing", "refuse", conf(b'{"os":"linux","architecture":"amd64"}'))
case("J10-array", "refuse", conf(b"[]"))
case("J11-null", "refuse", conf(b"null"))
case("J12-nul-in-text", "refuse", conf(config={"Env": ["A=\u0000b"]}))
case("J13-control-in-user", "refuse", conf(config={"User": "root\u001b[2J"}))
case("J14-huge-number", "refuse", conf(dump(config([D0]))[:-1] + b',"config":{"StopTimeout":1e400}}'))
case("J15-diff-id-upper", "refuse", conf(rootfs={"type": "layers", "diff_ids": [D0.upper()]}))
case("J16-other-case-key", "refuse", conf(RootFS={"type": "layers", "diff_ids": []}))
case("J17-many-diff-ids", "refuse", conf(rootfs={"type": "layers", "diff_ids": [D0] * 501}))
case("J18-history-100k", "refuse", conf(history=[{"created_by": "x", "empty_layer": True}] * 100000))
case("J19-surrogate", "refuse", conf(dump(config([D0], author="A")).replace(b'"A"', b'"\\ud800"')))
case("J20-labels-nested", "refuse", conf(config={"Labels": {"a": {"b": "c"}}}))
case("J21-created-garbage", "refuse", conf(created="yesterday"))
case("J22-workdir-dotdot", "safe", conf(config={"WorkingDir": "/../../etc"}))

# ---- O: OCI layout ---------------------------------------------------------------------------


def oci_doc(doc, media=OCI + "manifest.v1+json", more=None, blobs=()):
    doc = dump(doc)
    d = desc(doc, media)
    d.update(more or {})
    return oci_layout([doc] + list(blobs), oci_index(d))


C, M = oci_parts()
MD = desc(M, OCI + "manifest.v1+json", annotations={"io.containerd.image.name": "docker.io/hostile/case:1"})
case("O00-good", "safe", oci_image())
case("O01-both-kinds", "refuse", oci_image(manifest_more={"manifests": []}))
case("O02-media-type-differs", "refuse", oci_image(manifest_more={"mediaType": OCI + "index.v1+json"}))
case("O03-index-called-manifest", "refuse", oci_doc(oci_index(MD, mediaType=OCI + "manifest.v1+json"), blobs=[M, C, GOOD_LAYER]))
case("O04-manifest-digest", "refuse", oci_layout([M, C, GOOD_LAYER], oci_index(dict(MD, digest="sha256:" + "1" * 64)),
                                                 names={0: "blobs/sha256/" + "1" * 64}), "digest")
case("O05-manifest-size", "refuse", oci_layout([M, C, GOOD_LAYER], oci_index(dict(MD, size=len(M) + 1))), "bytes")
case("O06-config-digest", "refuse", oci_layout([M, b"{}" + C[2:], GOOD_LAYER], oci_index(MD),
                                               names={1: "blobs/sha256/" + hashlib.sha256(C).hexdigest()}), "digest")
OTHER = GOOD_LAYER.replace(b"hello\n", b"jello\n")
case("O07-layer-content", "mismatch", oci_layout([M, C, OTHER], oci_index(MD),
                                                 names={2: "blobs/sha256/" + hashlib.sha256(GOOD_LAYER).hexdigest()}))
case("O08-layer-size", "refuse", oci_image(layer_descs=[dict(desc(GOOD_LAYER, OCI + "layer.v1.tar"), size=7)]), "bytes")
case("O09-manifest-missing", "refuse", oci_layout([C, GOOD_LAYER], oci_index(MD)), "not in the archive")
case("O10-layout-version", "refuse", oci_image(layout=b'{"imageLayoutVersion":"2.0.0"}'))
case("O11-layout-garbage", "refuse", oci_image(layout=b"\0\1\2"))
case("O12-schema1", "refuse", oci_doc({"schemaVersion": 1, "name": "x", "tag": "y", "fsLayers": [], "history": [], "signatures": []},
                                      "application/vnd.docker.distribution.manifest.v1+prettyjws"))
for i, d in enumerate(["SHA256:" + "0" * 64, "sha256:" + "A" * 64, "sha256:abc", "sha256:../../../etc/passwd", "md5:" + "0" * 32,
                       "", "sha256:" + "0" * 65, "sha256:" + "0" * 63 + "\u0000", "sha256:" + "0" * 63 + "\n", "sha256"]):
    case("O13-digest-%02d" % i, "refuse", oci_layout([M, C, GOOD_LAYER], oci_index(dict(MD, digest=d))))
case("O14-layer-missing", "unloadable", oci_layout([M, C], oci_index(MD)), "not in the archive")
case("O15-config-missing", "unloadable", oci_layout([M, GOOD_LAYER], oci_index(MD)), "not in the archive")
case("O16-index-is-manifest", "refuse", oci_layout([M, C, GOOD_LAYER], json.loads(M)), "index")
case("O17-artifact", "unloadable", oci_image(manifest_more={"artifactType": "application/vnd.example+type",
                                                            "config": desc(b"{}", OCI.replace("image.", "") + "empty.v1+json")}))
case("O18-negative-size", "refuse", oci_layout([M, C, GOOD_LAYER], oci_index(dict(MD, size=-1))))
case("O19-size-float", "refuse", oci_layout([M, C, GOOD_LAYER], oci_index(dict(MD, size=1.5))))
case("O20-annotations-wrong", "refuse", oci_layout([M, C, GOOD_LAYER], oci_index(dict(MD, annotations={"a": 1}))))
case("O21-duplicate-keys", "refuse", oci_layout([M, C, GOOD_LAYER], dump(oci_index(MD))[:-1] + b',"manifests":[]}'), "uplicate")
case("O22-layer-encrypted", "unloadable", oci_image(layer_descs=[desc(GOOD_LAYER, OCI + "layer.v1.tar+gzip+encrypted")]))
case("O23-501-layers", "refuse", oci_image(layer_descs=[desc(GOOD_LAYER, OCI + "layer.v1.tar")] * 501), "limit")
case("O24-manifest-5-mib", "refuse", oci_image(manifest_more={"annotations": {"a": "b" * (5 << 20)}}), "limits.document")
case("O25-blob-is-link-out", "refuse", tar(entry(b"oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), entry(b"index.json", dump(oci_index(MD))),
                                           symlink(b"blobs/sha256/" + MD["digest"][7:].encode(), b"/etc/passwd")), "not in the archive")
case("O26-blobs-folder-is-link", "refuse", tar(entry(b"oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), entry(b"index.json", dump(oci_index(MD))),
                                               symlink(b"blobs", b"/etc")), "not in the archive")
case("O27-10001-manifests", "refuse", lambda: oci_layout(
    [M, C, GOOD_LAYER], oci_index(*[dict(MD, digest="sha256:%064x" % i) for i in range(10001)])), "limit")
case("O28-same-manifest-900-times", "safe", lambda: oci_layout([M, C, GOOD_LAYER], oci_index(*[MD] * 900)))


def nested(depth, width=1):
    blobs = [C, GOOD_LAYER, M]
    d = desc(M, OCI + "manifest.v1+json")
    for i in range(depth):
        x = dump(oci_index(*[d] * width, annotations={"level": str(i)}))
        blobs.append(x)
        d = desc(x, OCI + "index.v1+json")
    d["annotations"] = {"io.containerd.image.name": "docker.io/hostile/case:1"}
    return oci_layout(blobs, oci_index(d))


case("O29-nested-30", "refuse", lambda: nested(30), "deep")
case("O30-doubling", "safe", lambda: nested(4, 200))
case("O31-nested-1", "safe", lambda: nested(1))


def self_index():
    """An index cannot hold its own digest; one that claims to is refused by the digest."""
    x = dump(oci_index(dict(MD, digest="sha256:" + "2" * 64, mediaType=OCI + "index.v1+json", size=500)))
    x = x + b" " * (500 - len(x))
    return oci_layout([x], oci_index(dict(desc(x, OCI + "index.v1+json"), digest="sha256:" + "2" * 64)),
                      names={0: "blobs/sha256/" + "2" * 64})


case("O32-index-of-itself", "refuse", self_index, "digest")
case("O33-layers-and-diff-ids", "refuse", oci_image(conf=config([])), "layer")
case("O34-manifest-deep", "refuse", oci_doc(b'{"schemaVersion":2,"x":' + b"[" * 10000 + b"]" * 10000 + b"}"))
case("O35-index-json-missing", "refuse", oci_layout([M, C], None), "no image")
case("O36-attestation", "safe", lambda: oci_layout(
    [M, C, GOOD_LAYER], oci_index(MD, dict(desc(b"{}", OCI + "manifest.v1+json"), platform={"os": "unknown", "architecture": "unknown"},
                                           annotations={"vnd.docker.reference.type": "attestation-manifest"}))))
case("O37-sha512-manifest", "refuse", lambda: (lambda h: oci_layout(
    [M, C, GOOD_LAYER], oci_index(dict(MD, digest="sha512:" + h)), names={0: "blobs/sha512/" + h}))(hashlib.sha512(M).hexdigest()), "sha256 digests only")
case("O38-unknown-algorithm", "refuse", oci_layout([M, C, GOOD_LAYER], oci_index(dict(MD, digest="blake3:" + "0" * 64))), "sha256 digests only")
case("O39-other-case-keys", "refuse", oci_layout([M, C, GOOD_LAYER], dict(oci_index(), Manifests=[MD])))
case("O40-foreign-layer", "unloadable", oci_image(layer_descs=[dict(desc(b"absent", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
                                                               urls=["http://169.254.169.254/"])]))
case("O41-both-forms-disagree", "safe", oci_image(extra=entry(b"c.json", dump(config([sha(OTHER)]))) + entry(b"o.tar", OTHER) + entry(
    b"manifest.json", dump([{"Config": "c.json", "RepoTags": ["hostile/other:1"], "Layers": ["o.tar"]}]))))

# ---- A: the outer tar ------------------------------------------------------------------------

case("A01-empty", "refuse", b"", "no image")
case("A02-text", "refuse", b"hello world " * 100, "not a tar")
case("A03-gzip", "safe", gz(GOOD))
case("A04-xz", "safe", lzma.compress(GOOD))
case("A05-bzip2", "safe", bz2.compress(GOOD))
case("A06-gzip-cut", "refuse", gz(GOOD)[:-30], "cut off")
case("A07-gzip-of-gzip", "refuse", gz(gz(GOOD)), "not a tar")
case("A08-gzip-bomb", "refuse", lambda: gz(tar(entry(b"z", bytes(64 << 20))), 9), "limits.unpacked", max_unpacked=16 << 20)
case("A09-cut", "refuse", GOOD[:len(GOOD) - 3000], "ends")
case("A10-cut-in-header", "refuse", GOOD[:700], "ends")
case("A11-member-name-control", "safe", docker_archive(extra=entry(b"\x1b[31m\n", b"x")))
case("A12-member-size-huge", "refuse", docker_archive(extra=header(b"x", size=1 << 60)), "ends")
case("A13-member-deep", "refuse", docker_archive(extra=gnu_long(b"d/" * 100 + b"f\0") + header(b"f")), "limits.depth")
case("A15-fs-tar", "refuse", GOOD_LAYER, "no image")
case("A16-300k-members", "refuse", lambda: gz(__import__("tarbytes").many_entries(300000)), "limits.entries")
case("A17-device-members", "safe", docker_archive(extra=header(b"dev", type=b"4", major=8)))
