/*
 * create.c - making a container: name, image, specification, row.
 *
 * Room: runtime.  Foreign: the request.  Trusts the caller's identity.  Either everything is there
 * when it returns 0, or nothing is: the name, the store's note and the row are taken back on failure.
 */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "svc-runtime/convert.h"
#include "svc-runtime/policy.h"
#include "svc-runtime/room.h"
#include "svc-runtime/seccomp.h"
#include "base/str.h"
#include "svc-runtime/spec_make.h"

#define NAME_ATTEMPTS 40

int rt_random_id(char out[RT_ID_SIZE], struct bh_err *err) {
    unsigned char raw[32];

    if (getrandom(raw, sizeof raw, 0) != sizeof raw)
        return bh_err_set(err, BH_E_INTERNAL, "no random bytes for a container's id");
    bh_hex(raw, sizeof raw, out);
    return 0;
}

struct draft {
    struct rt_room *room;
    const struct rt_caller *who;
    const struct rt_request *req;
    struct rt_record rec;
    char id[RT_ID_SIZE];
    char name[RT_NAME_SIZE];
    struct rt_image image;
    struct rt_made made;
    struct bh_buf spec, config;
};

/* The image as this caller may see it; the store notes the container as its user in the same step. */
static int open_image(struct draft *d, struct bh_arena *arena, struct bh_err *err) {
    struct rt_image_ask ask = {
        .name = d->req->image, .owner = d->who->uid, .container_id = d->id, .container_name = d->name};

    if (*d->req->image == 0)
        return bh_err_set(err, BH_E_INVALID, "no image was named");
    return rt_store_image(d->room->store, &ask, arena, &d->image, err);
}

int rt_profile(struct rt_room *room, const struct rt_caller *who, struct rt_made *made, struct bh_arena *arena,
               struct bh_err *err) {
    struct bh_seccomp profile;

    if (made->profile == NULL)
        return 0;
    if (rt_store_profile(room->store, made->profile, arena, &profile, err) != 0)
        return err->code;
    return rt_seccomp_apply(who, &profile, rt_seccomp_kernel(), arena, &made->spec, err);
}

static int make_record(struct draft *d, struct rt_blob request, struct bh_arena *arena, struct bh_err *err) {
    if (rt_spec_make(d->req, &d->image.config, d->id, arena, &d->made, err) != 0 ||
        rt_profile(d->room, d->who, &d->made, arena, err) != 0 || rt_spec_encode(&d->made.spec, &d->spec, err) != 0 ||
        rt_config_pack(&d->made.config, arena, &d->config, err) != 0)
        return err->code;
    d->rec = (struct rt_record){.id = d->id,
                                .name = d->name,
                                .owner = d->who->uid,
                                .created_ns = bh_now_ns(),
                                .image = d->req->image,
                                .image_id = d->image.id,
                                .image_ref = d->image.reference,
                                .spec = {d->spec.data, d->spec.len},
                                .request = request,
                                .config = {d->config.data, d->config.len},
                                .stop_signal = d->made.stop_signal,
                                .stop_timeout = d->made.stop_timeout,
                                .auto_remove = d->req->auto_remove};
    rt_host(d->room, &d->rec.oci);
    return 0;
}

/* A made-up name that is taken gives way to another; a given one does not. */
static int take_name(struct draft *d, bool given, struct rt_container *c, struct bh_err *err) {
    int r = rt_table_add(d->room->table, c, err);

    for (unsigned i = 1; r != 0 && !given && i < NAME_ATTEMPTS; i++) {
        bh_err_clear(err);
        rt_name_random(c->name, i / 4);
        r = rt_table_add(d->room->table, c, err);
    }
    if (r == 0)
        bh_str_copy(d->name, sizeof d->name, c->name);
    return r;
}

/* A container in the table that cannot be found yet by anybody who waits for its name: the row
 * follows at once, and a failure takes it out again. */
static int publish(struct draft *d, bool given, struct bh_err *err) {
    RT_SCOPE_CONTAINER struct rt_container *c =
        rt_container_new(d->room, &d->rec, rt_facts_new(d->req, &d->made.config));

    if (take_name(d, given, c, err) != 0)
        return err->code;
    if (rt_db_insert(d->room->db, &d->rec, err) != 0) {
        rt_table_remove(d->room->table, c);
        return err->code;
    }
    return 0;
}

static void forget_image(struct draft *d) {
    struct bh_err err = BH_ERR_INIT;

    if (rt_store_forget(d->room->store, d->id, &err) != 0)
        bh_log_err("create-undo", &err); /* the next ContainerSync makes it good */
}

int rt_create(struct rt_room *room, const struct rt_caller *who, const char *name, const struct rt_request *req,
              struct rt_blob request, struct bh_arena *arena, struct rt_created *out, struct bh_err *err) {
    struct draft d = {.room = room, .who = who, .req = req};
    const char *given = NULL;
    int r;

    if (rt_policy_create(who, req, err) != 0 || (*name != 0 && rt_name_check(name, &given, err) != 0) ||
        rt_random_id(d.id, err) != 0)
        return err->code;
    if (given != NULL)
        bh_str_copy(d.name, sizeof d.name, given);
    else
        rt_name_random(d.name, 0);
    if (open_image(&d, arena, err) != 0)
        return err->code;
    r = make_record(&d, request, arena, err);
    for (size_t i = 0; r == 0 && i < d.made.warnings.n; i++)
        r = bh_strlist_add(&out->warnings, arena, d.made.warnings.v[i], err);
    if (r == 0)
        r = publish(&d, given != NULL, err);
    bh_buf_fini(&d.spec);
    bh_buf_fini(&d.config);
    if (r != 0) {
        forget_image(&d);
        return r;
    }
    memcpy(out->id, d.id, sizeof out->id);
    return 0;
}
