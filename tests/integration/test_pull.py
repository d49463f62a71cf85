"""Images from a real registry into the engine: every form, names, states, platforms, what is refused, what is told."""
import json, os, random, re, subprocess, sys, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import Engine, case, ends, fails, has, inspect, lacks, out, run, same, until  # noqa: E402
from dockerregistry import DockerRegistry  # noqa: E402
from faulty_registry import FaultyRegistry  # noqa: E402

CONFIG = """
[registry]
tries = 3
progress_timeout = 5
"""
R = None  # the registry


def image(word, *more, run=None, **extra):
    """Layers of its own: none is known from another image."""
    layers = [mk.tar_of([("word", word.encode(), 0o644)]), *more]
    return mk.Image(layers, run, **extra)


def setup(e):
    global R
    R = DockerRegistry(os.path.join(e.folder, "registry")).__enter__()
    import atexit
    atexit.register(R.__exit__)


def pull(e, *words, **more):
    return ends(e.cli("pull", *words, check=False, **more), 0)


def state_of_store(e):
    return out(e, "images", "-a", "--no-trunc", "--digests", "--format", "{{.ID}} {{.Repository}} {{.Tag}} {{.Digest}}")


@case("pull: the lines of docker; ID, name and digest are those of the registry")
def _(e):
    im = image("first")
    desc = R.put(im, "team/app:1")
    done = pull(e, f"{R.host}/team/app:1")
    lines = done.stdout.splitlines()
    same(lines[0], "1: Pulling from team/app")
    for word in ("Pulling fs layer", "Download complete", "Pull complete"):
        has(done.stdout, rf"^[0-9a-f]{{12}}: {word}$", done)
    same(lines[-3:], [f"Digest: {desc['digest']}", f"Status: Downloaded newer image for {R.host}/team/app:1", f"{R.host}/team/app:1"])
    same(done.stderr, "")
    found = inspect(e, f"{R.host}/team/app:1")
    same(found["Id"], im.id)
    same(found["RepoDigests"], [f"{R.host}/team/app@{desc['digest']}"])


@case("pull: again is a word with the registry and no more; a tag that moved is new")
def _(e):
    desc = R.put(image("again"), "team/again:1")
    pull(e, f"{R.host}/team/again:1")
    done = pull(e, f"{R.host}/team/again:1")
    same(done.stdout.splitlines(), ["1: Pulling from team/again", f"Digest: {desc['digest']}",
                                    f"Status: Image is up to date for {R.host}/team/again:1", f"{R.host}/team/again:1"])
    other = image("again, changed")
    R.put(other, "team/again:1")
    has(pull(e, f"{R.host}/team/again:1").stdout, "Downloaded newer image")
    same(inspect(e, f"{R.host}/team/again:1")["Id"], other.id)


@case("pull: default tag, -q, a digest, a tag with a digest")
def _(e):
    one, two = image("one"), image("two")
    d1 = R.put(one, "team/names:latest")["digest"]
    d2 = R.put(two, "team/names:2")["digest"]
    done = pull(e, f"{R.host}/team/names")
    same(done.stdout.splitlines()[:2], ["Using default tag: latest", "latest: Pulling from team/names"])
    same(pull(e, "-q", f"{R.host}/team/names").stdout, f"{R.host}/team/names:latest\n")
    done = pull(e, f"{R.host}/team/names@{d2}")
    same(done.stdout.splitlines()[-1], f"{R.host}/team/names@{d2}")
    same(inspect(e, f"{R.host}/team/names@{d2}")["Id"], two.id)
    done = pull(e, f"{R.host}/team/names:latest@{d2}")
    has(done.stdout, rf"^Digest: {d2}$")
    same(inspect(e, f"{R.host}/team/names:latest")["Id"], one.id)
    fails(e, "pull", f"{R.host}/team/names@sha256:{'1' * 64}", error="not found")
    assert d1 != d2


@case("pull: gzip, zstd and plain layers; a layer twice; an empty layer; sixty layers")
def _(e):
    for codec in ("gzip", "zstd", "plain"):
        im = image(codec, mk.tar_of([("data", random.Random(codec).randbytes(300000), 0o644)]))
        R.put(im, f"team/{codec}:1", codec)
        pull(e, f"{R.host}/team/{codec}:1")
        same(inspect(e, f"{R.host}/team/{codec}:1")["Id"], im.id)
    empty = mk.tar_of([])
    twice = mk.Image([mk.tar_of([("a", b"a", 0o644)]), empty, mk.tar_of([("b", b"b", 0o644)]), empty])
    R.put(twice, "team/twice:1")
    pull(e, f"{R.host}/team/twice:1")
    same(len(inspect(e, f"{R.host}/team/twice:1")["RootFS"]["Layers"]), 4)
    many = mk.Image([mk.tar_of([(f"f{i}", str(i).encode(), 0o644)]) for i in range(60)])
    R.put(many, "team/many:1")
    done = pull(e, f"{R.host}/team/many:1")
    same(len(re.findall(r"Pull complete", done.stdout)), 60)


@case("pull: a layer of 100,000 files; twenty images with zstd in one call; an index of five platforms")
def _(e):
    files = [(f"d{i // 1000}/f{i}", b"%d" % i, 0o644) for i in range(100000)]
    many = image("files", mk.tar_of(files))
    R.put(many, "team/files:1")
    pull(e, "-q", f"{R.host}/team/files:1")
    same(inspect(e, f"{R.host}/team/files:1")["Id"], many.id)
    twenty = {f"team/z{i}:1": image(f"z{i}", mk.tar_of([("n", random.Random(i).randbytes(20000), 0o644)])) for i in range(20)}
    for name, im in twenty.items():
        R.put(im, name, "zstd")
    same(pull(e, "-q", *(f"{R.host}/{name}" for name in twenty)).stdout.split(), [f"{R.host}/{name}" for name in twenty])
    for name, im in twenty.items():
        same(inspect(e, f"{R.host}/{name}")["Id"], im.id)
    five = {"amd64": None, "arm64": "v8", "arm": "v7", "386": None, "s390x": None}
    images = {arch: image(f"five {arch}", architecture=arch) for arch in five}
    R.put_index("team/five:1", [(images[arch], {"os": "linux", "architecture": arch, **({"variant": variant} if variant else {})})
                                for arch, variant in five.items()])
    for arch in five:
        pull(e, "-q", "--platform", f"linux/{arch}", f"{R.host}/team/five:1")
        same(inspect(e, f"{R.host}/team/five:1")["Id"], images[arch].id)


@case("pull: layers that are here already are told so and do not travel")
def _(e):
    base = mk.tar_of([("base", random.Random("base").randbytes(200000), 0o644)])
    R.put(mk.Image([base, mk.tar_of([("x", b"1", 0o644)])]), "team/shared:1")
    R.put(mk.Image([base, mk.tar_of([("x", b"2", 0o644)])]), "team/shared:2")
    pull(e, f"{R.host}/team/shared:1")
    done = pull(e, f"{R.host}/team/shared:2")
    same(len(re.findall("Already exists", done.stdout)), 1, done)
    same(len(re.findall("Pull complete", done.stdout)), 1, done)
    R.put(mk.Image([mk.tar_of([("a", b"3", 0o644)]), base, mk.tar_of([("b", b"3", 0o644)]), mk.tar_of([("x", b"1", 0o644)])]), "team/shared:3")
    said = [line.split(": ", 1)[1] for line in pull(e, "--jobs", "1", f"{R.host}/team/shared:3").stdout.splitlines() if re.match(r"[0-9a-f]{12}:", line)]
    same(said[:5], ["Pulling fs layer", "Already exists", "Pulling fs layer", "Waiting", "Already exists"])  # told at once, in order
    same(said[5:].count("Pull complete"), 2)


@case("pull: several references in one call; -a brings every tag")
def _(e):
    for tag in ("1", "2", "3"):
        R.put(image(f"all {tag}"), f"team/all:{tag}")
    done = pull(e, "-q", f"{R.host}/team/all:1", f"{R.host}/team/all:2")
    same(done.stdout.splitlines(), [f"{R.host}/team/all:1", f"{R.host}/team/all:2"])
    done = pull(e, "-a", f"{R.host}/team/all")
    same(done.stdout.splitlines()[-2:], [f"Status: Downloaded newer image for {R.host}/team/all", f"{R.host}/team/all"])
    same(len(re.findall("^Status: ", done.stdout, re.M)), 1, done)
    same(len(re.findall("^Digest: ", done.stdout, re.M)), 3, done)
    has(pull(e, "-a", f"{R.host}/team/all").stdout, f"^Status: Image is up to date for {R.host}/team/all$")
    same(pull(e, "-a", "-q", f"{R.host}/team/all").stdout, f"{R.host}/team/all\n")
    tags = out(e, "images", "--format", "{{.Tag}}", f"{R.host}/team/all").split()
    same(sorted(t for t in tags if t != "<none>"), ["1", "2", "3"])
    fails(e, "pull", "-a", f"{R.host}/team/all:1", error="all-tags")


@case("pull: several at once come side by side and are told one after the other; one that fails does not end the others")
def _(e):
    with FaultyRegistry(os.path.join(e.folder, "side")) as r:
        slow, fast, last = (r.repo(f"side-{x}") for x in ("slow", "fast", "last"))
        go = threading.Event()
        slow.fault = lambda h, digest, data: go.wait(60) and slow.whole(h, digest)
        names = [f"{r.host}/{x.name}:1" for x in (slow, fast, last)]
        process = subprocess.Popen([e.client(), "--host", e.host, "pull", *names[:2], f"{r.host}/side-none:7", names[2], f"{r.host}/side-none:8"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            until("the others, while the first still waits", lambda: e.cli("image", "exists", names[2], check=False).returncode == 0)
            same(process.poll(), None)
        finally:
            go.set()
        stdout, stderr = process.communicate(timeout=30)
        same(process.returncode, 1)
        lines = stdout.splitlines()
        same(lines[-3:], names)
        same([line for line in lines if "Pulling from" in line], [f"1: Pulling from {x.name}" for x in (slow, fast, last)])
        owners = {mk.sha(layer)[7:19]: x.name for x in (slow, fast, last) for layer in x.layers}
        told = [owners[line[:12]] for line in lines if line[:12] in owners]
        same(told, sorted(told, key=[x.name for x in (slow, fast, last)].index))
        same(len(re.findall("Pull complete", stdout)), 6)
        errors = stderr.splitlines()
        same(len(errors), 2)
        has(errors[0], "^bulkhead: warning: .*side-none:8 not found")
        has(errors[1], "side-none:7 not found")


@case("pull: what several images share travels once")
def _(e):
    with FaultyRegistry(os.path.join(e.folder, "share")) as r:
        repo = r.repo("shared-layers")
        for tag in ("2", "3", "4"):
            im = mk.Image([mk.tar_of([("tag", tag.encode(), 0o644)]), repo.image.layers[1]])
            small = mk.compress(im.layers[0], "gzip")
            repo.put_blob(im.config), repo.put_blob(small)
            repo.tag(tag, repo.document(config={"mediaType": mk.CONFIG, "digest": im.id, "size": len(im.config)},
                                        layers=[{"mediaType": mk.LAYER + "+gzip", "digest": mk.sha(b), "size": len(b)} for b in (small, repo.layers[1])]))
        r.pace = 0.01
        done = pull(e, *(f"{r.host}/shared-layers:{tag}" for tag in "1234"))
        same(repo.sent[repo.large], len(repo.layers[1]))
        same([len(re.findall(f"^{repo.large[7:19]}: {word}$", done.stdout, re.M)) for word in ("Pull complete", "Already exists")], [1, 3], done)
        out(e, "rmi", "-f", *(f"{r.host}/shared-layers:{tag}" for tag in "1234"))
        repo.sent.clear()
        same([line for line in pull(e, "-a", f"{r.host}/shared-layers").stdout.splitlines() if "Pulling from" in line],
             [f"{tag}: Pulling from shared-layers" for tag in "1234"])
        same(repo.sent[repo.large], len(repo.layers[1]))


@case("pull: an index: this host's platform, another by --platform, none that fits; attestations are passed over")
def _(e):
    amd, arm = image("amd"), image("arm", architecture="arm64")
    attest = image("attest", architecture="unknown", os="unknown")
    desc = R.put_index("team/multi:1", [(attest, {"os": "unknown", "architecture": "unknown"}),
                                        (arm, {"os": "linux", "architecture": "arm64", "variant": "v8"}),
                                        (amd, {"os": "linux", "architecture": "amd64"})])
    done = pull(e, f"{R.host}/team/multi:1", "--platform", "linux/amd64")
    has(done.stdout, rf"^Digest: {desc['digest']}$", done)
    same(inspect(e, f"{R.host}/team/multi:1")["Id"], amd.id)
    has(pull(e, f"{R.host}/team/multi:1", "--platform", "linux/amd64").stdout, "up to date")
    pull(e, f"{R.host}/team/multi:1", "--platform", "linux/arm64")
    same(inspect(e, f"{R.host}/team/multi:1")["Id"], arm.id)
    before = state_of_store(e)
    fails(e, "pull", f"{R.host}/team/multi:1", "--platform", "linux/s390x",
          error="no matching manifest for linux/s390x in the manifest list entries")
    same(state_of_store(e), before)


@case("pull: a wrong tag names the near ones; a wrong repository, a dead port, a bad name")
def _(e):
    for tag in ("1.24", "1.25", "1.25-alpine", "latest", "stable"):
        R.put(image("near"), f"team/near:{tag}")
    done = fails(e, "pull", f"{R.host}/team/near:1.26", error="manifest for .*team/near:1.26 not found: manifest unknown")
    has(done.stderr, r"1\.25", done)
    done = fails(e, "pull", f"{R.host}/team/no-such:1", error="not found|denied")
    has(done.stderr, f"no such repository; check the name, or log in: bulkhead login {R.host}", done)
    pull(e, f"{R.host}/team/near:latest")  # here already: only asked about
    ends(e.cli("image", "delete", f"{R.host}/team/near:latest", check=False), 0)
    R.put(image("near again"), "team/near:lates")
    has(fails(e, "pull", f"{R.host}/team/near:latest", error="manifest unknown").stderr, "tags that are there: lates")
    has(fails(e, "image", "delete", f"{R.host}/team/near:latest", error="manifest for .*not found").stderr, "tags that are there: lates")
    has(fails(e, "image", "copy", f"{R.host}/team/near:latest", f"{R.host}/x:1", error="manifest unknown").stderr, "tags that are there: lates")
    fails(e, "pull", "127.0.0.1:1/team/app:1", error=r"127\.0\.0\.1:1")
    fails(e, "pull", f"{R.host}/Team/app:1", error="must be lowercase")
    fails(e, "pull", "scratch", error="reserved")


@case("pull: the policies always, missing, newer, never")
def _(e):
    name = f"{R.host}/team/policy:1"
    R.put(image("policy 1"), "team/policy:1")
    fails(e, "pull", "--policy", "never", name, error="No such image")
    pull(e, "--policy", "missing", name)
    two = image("policy 2")
    R.put(two, "team/policy:1")
    has(pull(e, "--policy", "missing", name).stdout, "up to date")
    has(pull(e, "--policy", "never", name).stdout, "up to date")
    has(pull(e, "--policy", "newer", name).stdout, "Downloaded newer")
    same(inspect(e, name)["Id"], two.id)
    fails(e, "pull", "--policy", "sometimes", name, code=125, error="policy")


@case("pull: an artifact is kept and cannot be run")
def _(e):
    repo = "team/artifact"
    document = {"schemaVersion": 2, "mediaType": mk.MANIFEST, "artifactType": "application/vnd.example.thing",
                "config": {"mediaType": "application/vnd.oci.empty.v1+json", **R.blob(repo, b"{}")},
                "layers": [{"mediaType": "text/plain", **R.blob(repo, b"hello\n")}]}
    desc = R.manifest(f"{repo}:1", document)
    done = pull(e, f"{R.host}/{repo}:1")
    has(done.stdout, rf"^Digest: {desc['digest']}$")
    fails(e, "run", "--rm", f"{R.host}/{repo}:1", code=125, error="application/vnd.example.thing")


@case("pull: a mirror is asked first, and the registry when the mirror has it not or is ill")
def _(e):
    with DockerRegistry(os.path.join(e.folder, "mirror")) as mirror:
        both, only = image("on both"), image("only at home")
        mirror.put(both, "proxy/team/both:1")
        R.put(only, "team/only:1")
        rules = os.path.join(e.folder, "registries.conf")
        with open(rules, "w") as f:
            f.write(f'[[registry]]\nprefix = "example.test"\nlocation = "{R.host}"\ninsecure = true\n'
                    f'[[registry.mirror]]\nlocation = "127.0.0.1:1"\ninsecure = true\n'
                    f'[[registry.mirror]]\nlocation = "{mirror.host}/proxy"\ninsecure = true\n')
        with Engine(config=f'[registry]\nregistries_conf = "{rules}"\ntries = 2\n') as other:
            pull(other, "example.test/team/both:1")
            same(inspect(other, "example.test/team/both:1")["Id"], both.id)
            pull(other, "example.test/team/only:1")
            same(inspect(other, "example.test/team/only:1")["Id"], only.id)
            done = fails(other, "pull", "example.test/team/neither:1", error="not found|denied")
            has(done.stderr, re.escape(mirror.host), done)


@case("pull: a mirror that sends other bytes is followed by the registry, layer by layer")
def _(e):
    with FaultyRegistry(os.path.join(e.folder, "faulty")) as faulty:
        for name in ("blob-corrupt-in-the-middle", "blob-cut-always", "blob-404", "blob-longer", "blob-503-always"):
            repo = faulty.repo(name)
            for data in (repo.image.config, *repo.layers):
                R.blob(f"home/{name}", data)
            kind, data = repo.manifests[repo.tags["1"]]
            R.manifest(f"home/{name}:1", data, kind)
        rules = os.path.join(e.folder, "bad-mirrors.conf")
        with open(rules, "w") as f:
            f.write(f'[[registry]]\nprefix = "bad.test"\nlocation = "{R.host}/home"\ninsecure = true\n'
                    f'[[registry.mirror]]\nlocation = "{faulty.host}"\ninsecure = true\n')
        with Engine(config=f'[registry]\nregistries_conf = "{rules}"\ntries = 2\n') as other:
            for name in ("blob-corrupt-in-the-middle", "blob-cut-always", "blob-404", "blob-longer", "blob-503-always"):
                pull(other, f"bad.test/{name}:1")
                same(inspect(other, f"bad.test/{name}:1")["Id"], faulty.repo(name).image.id)
                assert faulty.repo(name).requests, "the mirror was not asked"
                before, layout = len(faulty.repo(name).requests), os.path.join(e.folder, f"layout-{name}")
                ends(other.cli("image", "copy", f"bad.test/{name}:1", f"oci:{layout}:1", check=False), 0)
                assert len(faulty.repo(name).requests) > before, "the mirror was not asked"
                for word in os.listdir(f"{layout}/blobs/sha256"):
                    with open(f"{layout}/blobs/sha256/{word}", "rb") as f:
                        same(mk.sha(f.read()), f"sha256:{word}")


@case("pull: each user has images of his own; that another has a layer is no right to it")
def _(e):
    im = image("of users", mk.tar_of([("data", random.Random("users").randbytes(200000), 0o644)]))
    R.put(im, "team/users:1")
    name = f"{R.host}/team/users:1"
    with Engine(config='[socket]\nmode = "0666"\n') as other:
        env = {**other.for_users(other.client())[1], "HOME": "/nonexistent"}
        ann, bob = ({"user": uid, "group": uid, "extra_groups": [], "env": env} for uid in (23001, 23002))
        pull(other, name, **ann)
        same(out(other, "images", "-q", **bob), "")
        done = pull(other, name, **bob)
        same(len(re.findall("Pull complete", done.stdout)), 2, done)
        has(pull(other, name, **bob).stdout, "up to date")
        out(other, "rmi", name, **ann)
        same(out(other, "images", "-q", **ann), "")
        same(len(out(other, "images", "-q", **bob).split()), 1)


@case("pull: --progress json tells states and bytes; a pulled image runs")
def _(e):
    im = mk.busybox(extra=[[("hello", b"hi\n", 0o644)]])
    R.put(im, "team/runs:1")
    done = pull(e, "--progress", "json", f"{R.host}/team/runs:1")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    same(told[-1]["aux"], {"ID": im.id, "Digest": R.digest("team/runs:1"), "Reference": f"{R.host}/team/runs:1"})
    told = [json.loads(line) for line in out(e, "push", "--progress", "json", f"{R.host}/team/runs:1").splitlines()]
    same(told[-1]["aux"], {"Tag": "1", "Digest": R.digest("team/runs:1"), "Size": R.read("team/runs:1")[0]["size"], "Reference": f"{R.host}/team/runs:1"})
    same(out(e, "run", "--rm", f"{R.host}/team/runs:1", "cat", "/hello"), "hi\n")


@case("pull: two pulls of one image at once share the download")
def _(e):
    im = image("at once", *(mk.tar_of([(f"d{i}", random.Random(i).randbytes(2000000), 0o644)]) for i in range(3)))
    R.put(im, "team/once:1")
    many = [e.cli_start("pull", "-q", f"{R.host}/team/once:1", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(4)]
    for one in many:
        said, error = one.communicate(timeout=60)
        same((one.returncode, said, error), (0, f"{R.host}/team/once:1\n", ""))
    same(inspect(e, f"{R.host}/team/once:1")["Id"], im.id)


if __name__ == "__main__":
    if DockerRegistry.program() is None:
        print("no docker-registry, skipped", file=sys.stderr)
        sys.exit(77)
    run(setup=setup, config=CONFIG)
