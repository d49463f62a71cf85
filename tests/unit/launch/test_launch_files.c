/*
 * test_launch_files.c - the files of containers for real: layers sealed and mounted, mounts, commit, export, diff.
 *
 * As test_launch_live.c.
 */
#include "live_case.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "layer/layer_check.h"

static bool has(const char *list, size_t n, const char *line) {
    for (size_t i = 0; i < n; i += strlen(list + i) + 1)
        if (strcmp(list + i, line) == 0)
            return true;
    return false;
}

static void test_trees(void **state) {
    const char *id = live_id(10), *id2 = live_id(11);
    struct rt_launch_reply reply;
    struct live_run r;
    char *text, path[128];
    uint64_t size;
    size_t n;
    int fd;

    (void)state;
    need_live();
    run_sh(id,
           "mkdir -p /new/deep; echo data > /new/deep/file; ln /new/deep/file /new/hard; ln -s file /new/link; rm "
           "/etc/old; "
           "chmod 600 /etc/two; chown web:web /new/deep/file; echo data > /etc/x; mkfifo /new/fifo; chmod 4755 "
           "/new/deep/file; "
           "mkdir /etc/d; touch -d @1000000000 /new/old",
           0, &r);
    assert_int_equal(r.state.exit_code, 0);
    live_run_free(&r);
    text = live_tree(&g, id, RT_TREE_DIFF, &n, &reply);
    if (reply.code != 0)
        print_message("diff: %s\n", reply.msg);
    for (size_t i = 0; i < n; i += strlen(text + i) + 1)
        print_message("%s\n", text + i);
    assert_int_equal(reply.code, 0);
    assert_true(has(text, n, "A /new") && has(text, n, "A /new/deep/file") && has(text, n, "D /etc/old"));
    assert_true(has(text, n, "C /etc") && has(text, n, "C /etc/two") && has(text, n, "A /etc/x"));
    assert_false(has(text, n, "C /dev") || has(text, n, "C /etc/hosts") || has(text, n, "A /proc"));
    free(text);
    text = live_tree(&g, id, RT_TREE_SIZE, &n, &reply);
    assert_int_equal(n, 8);
    memcpy(&size, text, 8);
    assert_in_range(size, 10, 200);
    free(text);
    text = live_tree(&g, id, RT_TREE_EXPORT, &n, &reply);
    assert_int_equal(reply.code, 0);
    assert_true(n > 500000);
    free(text);
    text = live_tree(&g, id, RT_TREE_COMMIT, &n, &reply);
    if (reply.code != 0)
        print_message("commit: %s\n", reply.msg);
    assert_int_equal(reply.code, 0);
    snprintf(path, sizeof(path), "%s/commit.tar", g.root);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(bh_write_all(fd, text, n), 0);
    close(fd);
    free(text);
    assert_int_equal(live_add_tar(&g, path), 0);
    run_sh(id2,
           "cat /new/deep/file /new/hard; ls -l /new/deep/file | cut -c1-10; stat -c '%U %h' /new/deep/file; "
           "[ -e /etc/old ] || echo gone; cat /etc/two; stat -c %Y /new/old; readlink /new/link; [ -p /new/fifo ] && "
           "echo fifo",
           0, &r);
    g.n_layers--;
    close(g.layer[g.n_layers]);
    {
        char layer[128];
        snprintf(layer, sizeof(layer), "%s/layer-%u", g.root, g.n_layers);
        unlink(layer);
    }
    assert_string_equal(r.out, "data\ndata\n-rwsr-xr-x\nweb 2\ngone\ntwo\n1000000000\nfile\nfifo\n");
    live_run_free(&r);
    forget(id);
    forget(id2);
}

/* The store keeps a descriptor that could write: the layer is refused, whatever it holds. */
static void test_seal(void **state) {
    const char *id = live_id(23);
    struct rt_spec s = live_sh("true");
    struct rt_launch_reply reply;
    char path[128], copy[160], line[400];
    int writer, was = g.layer[0];

    (void)state;
    need_live();
    snprintf(path, sizeof(path), "%s/layer-0", g.root);
    snprintf(copy, sizeof(copy), "%s/copy", g.root);
    snprintf(line, sizeof(line), "cp %s %s && chmod 644 %s", path, copy, copy);
    assert_int_equal(system(line), 0);
    writer = open(copy, O_RDWR);
    g.layer[0] = open(copy, O_RDONLY | O_CLOEXEC);
    live_detached(&g, id, &s, &reply);
    assert_int_equal(reply.code, BH_E_CONFLICT);
    assert_non_null(strstr(reply.msg, "open for writing"));
    close(writer);
    live_detached(&g, id, &s, &reply);
    assert_int_equal(reply.code, 0);
    close(g.layer[0]);
    g.layer[0] = was;
    {
        struct rt_monitor_state st;
        int m = live_connect(&g, id, "");

        if (m >= 0) {
            live_wait(m, &st);
            close(m);
        }
    }
    unlink(copy);
    forget(id);
}

/* A container that may mount cannot take nodev off its root, nor nosuid off a bind mount. */
static void test_locked_flags(void **state) {
    const char *id = live_id(24);
    char source[128];
    struct rt_mount m[] = {{.kind = RT_MOUNT_BIND, .source = source, .target = "/b"}};
    struct rt_spec s =
        live_sh("mount -o remount,bind,dev / && echo BAD; mount -o remount,bind,suid,dev /b && echo BAD; "
                "mkdir /t && mount -t tmpfs t /t && echo mounts; mknod /t/null c 1 3 && echo BAD; true");
    struct live_run r;

    (void)state;
    need_live();
    snprintf(source, sizeof(source), "%s/locked", g.root);
    mkdir(source, 0755);
    s.mounts = m;
    s.n_mounts = 1;
    s.caps |= (uint64_t)1 << 21;
    live_run(&g, id, "", &s, NULL, 0, &r);
    assert_string_equal(r.out, "mounts\n");
    live_run_free(&r);
    forget(id);
}

static void test_walk_before_start(void **state) {
    const char *id = live_id(25);
    struct rt_launch_reply reply;
    size_t n;
    char *text;

    (void)state;
    need_live();
    live_simple(&g, RT_LAUNCH_PREPARE, id, 0, 0, &reply);
    text = live_tree(&g, id, RT_TREE_COMMIT, &n, &reply);
    assert_int_equal(reply.code, 0);
    assert_int_equal(n, 1024); /* nothing but the end */
    free(text);
    text = live_tree(&g, id, RT_TREE_DIFF, &n, &reply);
    assert_int_equal(reply.code, 0);
    assert_int_equal(n, 0);
    free(text);
    text = live_tree(&g, id, RT_TREE_EXPORT, &n, &reply);
    assert_int_equal(reply.code, 0);
    assert_true(n > 100000);
    free(text);
    forget(id);
}

/* The same upper always gives the same tar; opaque folders and long names are told. */
static void test_commit_form(void **state) {
    const char *id = live_id(26);
    struct rt_launch_reply reply;
    struct live_run r;
    char *a, *b, path[128], line[256];
    size_t n, k;
    int fd;

    (void)state;
    need_live();
    run_sh(id,
           "rm -rf /home && mkdir -p /home/new; cd /tmp; touch $(head -c 200 /dev/zero | tr '\\0' x); mkdir -p "
           "$(for i in 1 2 3 4 5 6 7 8 9; do printf 'a-long-folder-name-for-the-tar-header/'; done); for i in $(seq "
           "500); do echo $i > $i; done",
           0, &r);
    assert_int_equal(r.state.exit_code, 0);
    live_run_free(&r);
    a = live_tree(&g, id, RT_TREE_COMMIT, &n, &reply);
    b = live_tree(&g, id, RT_TREE_COMMIT, &k, &reply);
    assert_int_equal(n, k);
    assert_memory_equal(a, b, n);
    snprintf(path, sizeof(path), "%s/form.tar", g.root);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(bh_write_all(fd, a, n), 0);
    close(fd);
    snprintf(line, sizeof(line),
             "tar tf %s > %s.list && grep -qx home/.wh..wh..opq %s.list && grep -qx tmp/500 %s.list", path, path, path,
             path);
    assert_int_equal(system(line), 0);
    free(a);
    free(b);
    a = live_tree(&g, id, RT_TREE_DIFF, &n, &reply);
    assert_true(has(a, n, "C /home") && has(a, n, "D /home/web") && has(a, n, "A /home/new"));
    free(a);
    forget(id);
}

/* File capabilities, ACLs and user xattrs survive a commit, with ids as the container has them. */
static void test_attributes(void **state) {
    const char *id = live_id(28), *id2 = live_id(29);
    struct rt_mount m[] = {{.kind = RT_MOUNT_BIND, .flags = RT_MOUNT_RO, .source = "/usr", .target = "/usr"},
                           {.kind = RT_MOUNT_BIND, .flags = RT_MOUNT_RO, .source = "/usr/lib", .target = "/lib"},
                           {.kind = RT_MOUNT_BIND, .flags = RT_MOUNT_RO, .source = "/usr/lib64", .target = "/lib64"}};
    struct rt_spec s =
        live_sh("PATH=/usr/bin:/usr/sbin:/bin; touch /f && setcap cap_net_raw+ep /f && setfattr -n user.x -v y /f && "
                "touch /a && setfacl -m u:33:r /a; getcap /f; getfacl -pcn /a");
    struct rt_launch_reply reply;
    struct live_run r;
    char path[128], *tar;
    size_t n;
    int fd;

    (void)state;
    need_live();
    if (access("/usr/sbin/setcap", X_OK) != 0 || access("/usr/bin/setfacl", X_OK) != 0 ||
        access("/usr/lib64", F_OK) != 0)
        skip();
    s.mounts = m;
    s.n_mounts = 3;
    live_run(&g, id, "", &s, NULL, 0, &r);
    show(&r);
    assert_non_null(strstr(r.out, "/f cap_net_raw=ep\n"));
    live_run_free(&r);
    tar = live_tree(&g, id, RT_TREE_COMMIT, &n, &reply);
    assert_int_equal(reply.code, 0);
    snprintf(path, sizeof(path), "%s/attributes.tar", g.root);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(bh_write_all(fd, tar, n), 0);
    close(fd);
    free(tar);
    assert_int_equal(live_add_tar(&g, path), 0);
    s.args.item[2] =
        "PATH=/usr/bin:/usr/sbin:/bin; getcap /f; getfacl -pcn /a | grep :33:; getfattr --only-values -n user.x /f";
    live_run(&g, id2, "", &s, NULL, 0, &r);
    show(&r);
    close(g.layer[--g.n_layers]);
    snprintf(path, sizeof(path), "%s/layer-%u", g.root, g.n_layers);
    unlink(path);
    assert_string_equal(r.out, "/f cap_net_raw=ep\nuser:33:r--\ny");
    live_run_free(&r);
    forget(id);
    forget(id2);
}

static void drop_layer(void) {
    char path[128];

    close(g.layer[--g.n_layers]);
    snprintf(path, sizeof(path), "%s/layer-%u", g.root, g.n_layers);
    unlink(path);
}

/* What an image can put in the way of its own start. */
static void test_hostile_image(void **state) {
    static const struct {
        const char *make;
        bool refused;
    } table[] = {
        {"mkdir etc && mkfifo etc/passwd etc/group", true},
        {"mkdir etc && ln -s /proc/self/mem etc/passwd", false},
        {"mkdir etc && ln -s ../../../../../../etc/shadow etc/passwd && mkdir etc/group", true},
        {"ln -s /tmp dev && ln -s /etc proc && ln -s / sys", false},
        {"ln -s /tmp etc", false},
        {"mkdir etc && ln -s /tmp/x etc/hosts && ln -s /proc/1/root etc/resolv.conf && mkdir etc/hostname", false},
        {"ln -s / mnt && ln -s /proc/self/fd data && ln -s ../../../.. up", true},
    };
    char source[128], dir[128], line[600], witness[160];
    struct rt_mount m[] = {{.kind = RT_MOUNT_BIND, .source = source, .target = "/data/a"},
                           {.kind = RT_MOUNT_BIND, .source = source, .target = "/up/witness/b"}};

    (void)state;
    need_live();
    snprintf(source, sizeof(source), "%s/locked", g.root);
    snprintf(dir, sizeof(dir), "%s/hostile", g.root);
    snprintf(witness, sizeof(witness), "/witness");
    mkdir(source, 0755);
    for (size_t i = 0; i < BH_ARRAY_LEN(table); i++) {
        const char *id = live_id(40 + (unsigned)i);
        struct rt_spec s = live_sh("echo ok; [ -c /dev/null ] && [ -d /proc/1 ] && [ -d /sys/kernel ] && echo whole");
        struct live_run r;

        snprintf(line, sizeof(line), "rm -rf %s && mkdir %s && cd %s && %s", dir, dir, dir, table[i].make);
        assert_int_equal(system(line), 0);
        live_add_folder(&g, dir);
        if (i == 6) {
            s.mounts = m;
            s.n_mounts = 2;
        }
        live_run(&g, id, "", &s, NULL, 0, &r);
        if (r.reply.code == 0)
            assert_string_equal(r.out, "ok\nwhole\n");
        else
            print_message("%s: %s\n", table[i].make, r.reply.msg);
        assert_int_equal(r.reply.code != 0, table[i].refused);
        assert_int_not_equal(access(witness, F_OK), 0); /* nothing was made on the host */
        live_run_free(&r);
        drop_layer();
        forget(id);
    }
}

/* A layer file whose index was changed after it was made. */
static void test_bad_layer(void **state) {
    const char *id = live_id(50);
    struct rt_spec s = live_sh("true");
    struct rt_launch_reply reply;
    struct bh_layer_header h;
    struct bh_err err = BH_ERR_INIT;
    char path[128];
    uint16_t mode = S_IFCHR | 0666;
    int fd;

    (void)state;
    need_live();
    snprintf(path, sizeof(path), "%s/empty.tar", g.root);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(ftruncate(fd, 1024), 0);
    close(fd);
    assert_int_equal(live_add_tar(&g, path), 0);
    assert_int_equal(bh_layer_open(g.layer[g.n_layers - 1], &h, &err), 0);
    snprintf(path, sizeof(path), "%s/layer-%u", g.root, g.n_layers - 1);
    fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, &mode, 2, (off_t)h.index_offset + 64 + 4), 2);
    close(fd);
    live_detached(&g, id, &s, &reply);
    print_message("%s\n", reply.msg);
    assert_int_equal(reply.code, BH_E_DATA_LOSS);
    assert_string_equal(reply.reason, "bad-layer");
    drop_layer();
    forget(id);
}

static void test_many_layers(void **state) {
    const char *id = live_id(27);
    unsigned before = g.n_layers;
    struct live_run r;
    char dir[128], line[400];

    (void)state;
    need_live();
    snprintf(dir, sizeof(dir), "%s/many", g.root);
    for (unsigned i = g.n_layers; i < 126; i++) {
        snprintf(line, sizeof(line), "rm -rf %s && mkdir -p %s && echo %u > %s/n && echo x > %s/l%u", dir, dir, i, dir,
                 dir, i);
        assert_int_equal(system(line), 0);
        live_add_folder(&g, dir);
    }
    run_sh(id, "cat /n; ls -d /l* | wc -l", 0, &r);
    assert_non_null(strstr(r.out, "125\n12"));
    live_run_free(&r);
    forget(id);
    while (g.n_layers > before) {
        close(g.layer[--g.n_layers]);
        snprintf(line, sizeof(line), "%s/layer-%u", g.root, g.n_layers);
        unlink(line);
    }
}

/* A folder of the root that takes no change, so that making or removal ends in the middle as by a death. */
static void freeze(const char *folder, bool on) {
    char path[256];
    int flags, fd;

    snprintf(path, sizeof(path), "%s/%s", g.root, folder);
    fd = open(path, O_RDONLY | O_DIRECTORY);
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0)
        skip(); /* a file system without such flags */
    flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
    assert_int_equal(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0);
    close(fd);
}

/* As long as anything of a container is there it has a name in state/monitor, where a sweep looks. */
static void test_half_there(void **state) {
    const char *id = live_id(15);
    struct rt_launch_reply reply;
    char name[256], own[128];

    (void)state;
    need_live();
    snprintf(name, sizeof(name), "%s/state/monitor/%s", g.root, id);
    snprintf(own, sizeof(own), "state/launch/containers/%s", id);
    freeze("state/launch/containers", true);
    live_simple(&g, RT_LAUNCH_PREPARE, id, 0, 0, &reply);
    freeze("state/launch/containers", false);
    assert_int_not_equal(reply.code, 0);
    assert_int_equal(access(name, F_OK), 0);
    forget(id);

    live_simple(&g, RT_LAUNCH_PREPARE, id, 0, 0, &reply);
    assert_int_equal(reply.code, 0);
    freeze(own, true);
    live_simple(&g, RT_LAUNCH_DELETE, id, 0, 0, &reply);
    freeze(own, false);
    assert_int_not_equal(reply.code, 0);
    assert_int_equal(access(name, F_OK), 0);
    forget(id);
}

static void test_mounts(void **state) {
    const char *id = live_id(13);
    char source[128], file[160], missing[160];
    struct rt_mount m[] = {{.kind = RT_MOUNT_TMPFS, .source = "", .target = "/data", .size = 1 << 20},
                           {.kind = RT_MOUNT_BIND, .flags = RT_MOUNT_RO, .source = file, .target = "/ro"},
                           {.kind = RT_MOUNT_BIND, .flags = RT_MOUNT_MAKE_SOURCE, .source = missing, .target = "/made"},
                           {.kind = RT_MOUNT_BIND, .source = source, .target = "/data/in"}};
    struct rt_spec s =
        live_sh("cat /data/in/f; echo x > /ro || echo ro; mount -o remount,rw /ro 2>/dev/null || echo locked; "
                "df /data | tail -1 | grep -o ' 1024 ' | head -1; ls -d /made; mount | grep ' /data type tmpfs' | grep "
                "nosuid | grep nodev | grep -c noexec");
    struct live_run r;
    int fd;

    (void)state;
    need_live();
    snprintf(source, sizeof(source), "%s/src", g.root);
    snprintf(file, sizeof(file), "%s/src/f", g.root);
    snprintf(missing, sizeof(missing), "%s/missing/a", g.root);
    mkdir(source, 0755);
    fd = open(file, O_WRONLY | O_CREAT, 0644);
    assert_int_equal(write(fd, "content\n", 8), 8);
    close(fd);
    s.mounts = m;
    s.n_mounts = 4;
    s.flags |= RT_INIT;
    live_run(&g, id, "", &s, NULL, 0, &r);
    show(&r);
    assert_string_equal(r.out, "content\nro\nlocked\n 1024 \n/made\n1\n");
    live_run_free(&r);
    forget(id);
}

static void test_mounts_below_dev(void **state) {
    const char *id = live_id(30);
    struct rt_mount m[] = {
        {.kind = RT_MOUNT_TMPFS, .source = "", .target = "/dev/shm", .size = 2 << 20},
        {.kind = RT_MOUNT_BIND, .flags = RT_MOUNT_RO, .source = "/etc/hostname", .target = "/dev/some/file"},
        {.kind = RT_MOUNT_BIND, .flags = RT_MOUNT_RO | RT_MOUNT_RECURSIVE, .source = "/sys", .target = "/sys"}};
    struct rt_spec s =
        live_sh("df /dev/shm | tail -1 | grep -o ' 2048 ' | head -1; cat /dev/some/file > /dev/null && echo file; "
                "echo x > /dev/some/file || echo ro; ls -d /sys/kernel; id -u; pwd");
    struct live_run r;

    (void)state;
    need_live();
    s.mounts = m;
    s.n_mounts = 3;
    s.user = "web";
    s.cwd = "/made/by/runtime";
    live_run(&g, id, "", &s, NULL, 0, &r);
    show(&r);
    assert_string_equal(r.out, " 2048 \nfile\nro\n/sys/kernel\n33\n/made/by/runtime\n");
    live_run_free(&r);
    forget(id);
}

static void test_modes(void **state) {
    const char *id = live_id(14);
    struct live_run r;

    (void)state;
    need_live();
    run_sh(id, "cat /proc/self/uid_map | tr -s ' '; ls /dev | wc -l", RT_PRIVILEGED, &r);
    print_message("%s", r.out);
    assert_non_null(strstr(r.out, "0 0 4294967295"));
    live_run_free(&r);
    forget(id);
    run_sh(id, "id -u; ip a | wc -l", RT_NET_HOST, &r);
    assert_int_equal(r.state.exit_code, 0);
    live_run_free(&r);
    run_sh(id, "touch /x || echo readonly; ls -d /sys/kernel", RT_READONLY_ROOTFS | RT_INIT, &r);
    assert_string_equal(r.out, "readonly\n/sys/kernel\n");
    live_run_free(&r);
    forget(id);
    run_sh(id, "cat /proc/self/uid_map | tr -s ' '; touch /x; stat -c %u /x", RT_USERNS_HOST, &r);
    assert_non_null(strstr(r.out, "0 0 4294967295\n0\n"));
    live_run_free(&r);
    forget(id);
}

int main(int argc, char **argv) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trees),         cmocka_unit_test(test_seal),
        cmocka_unit_test(test_locked_flags),  cmocka_unit_test(test_walk_before_start),
        cmocka_unit_test(test_commit_form),   cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_hostile_image), cmocka_unit_test(test_bad_layer),
        cmocka_unit_test(test_many_layers),   cmocka_unit_test(test_half_there),
        cmocka_unit_test(test_mounts),        cmocka_unit_test(test_mounts_below_dev),
        cmocka_unit_test(test_modes),
    };

    return live_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
