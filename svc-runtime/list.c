/*
 * list.c - ps: which containers, in which order, shown how.
 *
 * Room: runtime.  Foreign: filters.  A caller's list holds what it may see and nothing of others.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "svc-runtime/room.h"

#define MAX_DEPTH 128 /* of commits of commits */

void rt_items_free(struct rt_item *items, size_t n) {
    for (size_t i = 0; i < n; i++)
        rt_container_unref(items[i].c);
}

/* ---- look-ups that filters need ---------------------------------------------------------------- */

static int resolve_container(struct rt_room *room, const struct rt_caller *who, struct rt_filter_row *row,
                             struct bh_err *err) {
    RT_SCOPE_CONTAINER struct rt_container *c = NULL;

    if (rt_table_find(room->table, who, row->value, &c, err) != 0)
        return err->code;
    row->number = c->created_ns;
    return 0;
}

static int ask_image(struct rt_room *room, uid_t owner, const char *name, struct bh_arena *arena, struct rt_image *out,
                     struct bh_err *err) {
    struct rt_image_ask ask = {.name = name, .owner = owner, .container_id = "", .container_name = ""};

    return rt_store_image(room->store, &ask, arena, out, err);
}

/* Was image id made from `ancestor`, by any number of commits?  A link that is gone ends the search. */
static bool descends(struct rt_room *room, uid_t owner, const char *id, const char *ancestor, struct bh_arena *arena) {
    for (int depth = 0; depth < MAX_DEPTH && *id != 0; depth++) {
        struct bh_err err = BH_ERR_INIT;
        struct rt_image image = {0};

        if (strcmp(id, ancestor) == 0)
            return true;
        if (ask_image(room, owner, id, arena, &image, &err) != 0)
            return false;
        id = image.parent_id;
    }
    return false;
}

static int add_descendants(struct rt_room *room, const struct rt_caller *who, const char *ancestor,
                           struct rt_filter_row *row, struct bh_arena *arena, struct bh_err *err) {
    struct rt_container **list = NULL;
    struct bh_strlist seen = {0};
    size_t n = 0;
    int r = 0;

    rt_table_list(room->table, who, &list, &n);
    for (size_t i = 0; i < n && r == 0; i++) {
        const struct rt_container *c = list[i];

        if (bh_strlist_has(&seen, c->image_id))
            continue;
        r = bh_strlist_add(&seen, arena, c->image_id, err);
        if (r == 0 && descends(room, c->owner, c->image_id, ancestor, arena))
            r = bh_strlist_add(&row->images, arena, c->image_id, err);
    }
    rt_table_list_free(list, n);
    return r;
}

/* An image that is not there any more is no error: containers may still carry its name. */
static int resolve_image(struct rt_room *room, const struct rt_caller *who, struct rt_filter_row *row,
                         struct bh_arena *arena, struct bh_err *err) {
    struct rt_image image = {0};

    if (ask_image(room, who->uid, row->value, arena, &image, err) == 0)
        return add_descendants(room, who, image.id, row, arena, err);
    if (err->code != BH_E_NOT_FOUND && err->code != BH_E_INVALID)
        return err->code;
    bh_err_clear(err);
    return 0;
}

static int resolve(struct rt_room *room, const struct rt_caller *who, struct rt_filter *f, struct bh_arena *arena,
                   struct bh_err *err) {
    for (size_t i = 0; i < f->n; i++) {
        struct rt_filter_row *row = &f->rows[i];

        if ((row->key == RT_F_BEFORE || row->key == RT_F_SINCE) && resolve_container(room, who, row, err) != 0)
            return err->code;
        if (row->key == RT_F_ANCESTOR && resolve_image(room, who, row, arena, err) != 0)
            return err->code;
    }
    return 0;
}

/* ---- selection ------------------------------------------------------------------------------- */

const struct bh_strlist *rt_item_ports(const struct rt_item *it) {
    static const struct bh_strlist none = {0};
    const struct rt_facts *facts = it->c->facts;

    return rt_status_running(&it->status) && strcmp(facts->network, "host") != 0 ? &facts->ports : &none;
}

static bool matches(const struct rt_filter *f, const struct rt_item *it) {
    const struct rt_facts *facts = it->c->facts;
    struct rt_filter_item view = {.id = it->c->id,
                                  .name = it->name,
                                  .image = it->c->image,
                                  .image_id = it->c->image_id,
                                  .network = facts->network,
                                  .status = &it->status,
                                  .created_ns = it->c->created_ns,
                                  .labels = &facts->labels,
                                  .volumes = &facts->volumes,
                                  .ports = rt_item_ports(it)};

    return rt_filter_match(f, &view);
}

int rt_select(struct rt_room *room, const struct rt_caller *who, struct rt_filter *f, struct bh_arena *arena,
              struct rt_item **out, size_t *out_n, struct bh_err *err) {
    struct rt_container **list = NULL;
    struct rt_item *items = NULL;
    size_t n = 0, kept = 0;

    if (resolve(room, who, f, arena, err) != 0)
        return err->code;
    rt_table_list(room->table, who, &list, &n);
    items = bh_oci_alloc(arena, (n + 1) * sizeof *items, err);
    for (size_t i = n; items != NULL && i-- > 0;) { /* newest first */
        struct rt_item *it = &items[kept];

        *it = (struct rt_item){.c = list[i], .status = rt_container_status(list[i]), .image = list[i]->image};
        rt_table_name(room->table, it->c, it->name);
        if (!matches(f, it))
            continue;
        rt_container_ref(it->c);
        kept++;
    }
    rt_table_list_free(list, n);
    if (items == NULL)
        return err->code;
    *out = items;
    *out_n = kept;
    return 0;
}

/* Without -a: what runs.  With --last N: the newest N, whatever their state. */
static size_t cut_list(struct rt_item *items, size_t n, const struct rt_list_want *want, bool all) {
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        bool stays = all || rt_status_running(&items[i].status);

        if (want->last > 0)
            stays = kept < (size_t)want->last;
        if (stays)
            items[kept++] = items[i];
        else
            rt_container_unref(items[i].c);
    }
    return kept;
}

/* ---- what is shown --------------------------------------------------------------------------- */

/* Does the written name still mean the image that the container has?  Else its id is shown. */
static const char *shown_image(struct rt_room *room, struct rt_container *c, struct bh_arena *arena) {
    struct bh_err err = BH_ERR_INIT;
    struct rt_image image = {0};

    if (ask_image(room, c->owner, c->image, arena, &image, &err) != 0)
        return err.code == BH_E_NOT_FOUND ? c->image_id : c->image;
    return strcmp(image.id, c->image_id) == 0 ? c->image : c->image_id;
}

static void show_images(struct rt_room *room, struct rt_item *items, size_t n, struct bh_arena *arena) {
    for (size_t i = 0; i < n; i++) {
        const struct rt_container *c = items[i].c;
        bool known = false;

        for (size_t k = i; k-- > 0 && !known;) {
            const struct rt_container *o = items[k].c;

            known = o->owner == c->owner && strcmp(o->image, c->image) == 0 && strcmp(o->image_id, c->image_id) == 0;
            if (known)
                items[i].image = items[k].image == o->image ? c->image : c->image_id;
        }
        if (!known)
            items[i].image = shown_image(room, items[i].c, arena);
    }
}

void rt_item_measure(struct rt_item *it, struct bh_arena *arena) {
    struct bh_err err = BH_ERR_INIT;
    struct rt_image image = {0};

    if (it->status.started_ns != 0 && rt_tree_size(it->c, &it->size_rw, &err) != 0)
        it->size_rw = 0; /* removed a moment ago */
    bh_err_clear(&err);
    if (ask_image(it->c->room, it->c->owner, it->c->image_id, arena, &image, &err) == 0)
        it->size_root = image.size + it->size_rw;
}

int rt_list(struct rt_room *room, const struct rt_caller *who, const struct rt_list_want *want, struct bh_arena *arena,
            struct rt_item **out, size_t *out_n, struct bh_err *err) {
    struct rt_filter f = {0};
    int r;

    if (rt_filter_parse(want->filters, want->n_filters, RT_FILTER_LIST, bh_now_ns(), arena, &f, err) != 0)
        return err->code;
    r = rt_select(room, who, &f, arena, out, out_n, err);
    if (r == 0) {
        *out_n = cut_list(*out, *out_n, want, want->all || f.wants_all);
        show_images(room, *out, *out_n, arena);
        for (size_t i = 0; want->size && i < *out_n; i++)
            rt_item_measure(&(*out)[i], arena);
    }
    rt_filter_fini(&f);
    return r;
}
