/*
 * container.h - a container as the room holds it, and the table of all of them.
 *
 * Room: runtime.  Locks, in the order in which they may be taken: op (one long operation on a
 * container: start, remove, rename, commit), the table's, state.lock (status and what follows; held
 * for moments only).
 */
#ifndef RT_CONTAINER_H
#define RT_CONTAINER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uthash.h>

#include "base/err.h"
#include "svc-runtime/db.h"
#include "svc-runtime/facts.h"
#include "svc-runtime/monitor_client.h"
#include "svc-runtime/names.h"
#include "svc-runtime/request.h"
#include "svc-runtime/status.h"
#include "svc-runtime/waitq.h"
#include "wire/launch_wire.h"

struct rt_room;

struct rt_container {
    /* never changed after it was made */
    struct rt_room *room;
    char id[RT_ID_SIZE];
    uid_t owner;
    int64_t created_ns;
    char *image, *image_id, *image_ref;
    struct rt_facts *facts;
    int stop_signal, stop_timeout;
    bool auto_remove;

    atomic_int oci;     /* RT_OCI_* that it was made for, < 0: not known yet; set once, with op held */
    atomic_bool killed; /* SIGKILL was sent since it was started: no pause may keep it from its end */
    atomic_uint refs;
    pthread_mutex_t op;
    pthread_mutex_t note; /* one note to the store at a time, the newest last */

    char name[RT_NAME_SIZE]; /* table's lock */
    UT_hash_handle hh;       /* table's lock */

    struct rt_waitq state; /* its lock guards what follows */
    struct rt_status status;
    bool removed;
    bool keep;              /* a restart is under way: no auto-remove at this end */
    uint64_t exits;         /* how often it has ended in the life of this room */
    struct rt_watch *watch; /* while it runs */
};

struct rt_container *rt_container_new(struct rt_room *room, const struct rt_record *r, struct rt_facts *take_facts);
struct rt_container *rt_container_ref(struct rt_container *c);
void rt_container_unref(struct rt_container *c);
void rt_scope_container(struct rt_container **c);
#define RT_SCOPE_CONTAINER __attribute__((cleanup(rt_scope_container)))

struct rt_status rt_container_status(struct rt_container *c);
/* Applies, wakes the waiters; false when the event does not fit. */
bool rt_container_event(struct rt_container *c, const struct rt_event *e);
/* A new reference to the monitor's connection; BH_E_CONFLICT "container X is not running". */
int rt_container_watch(struct rt_container *c, struct rt_watch **out, struct bh_err *err);
/* The request is for the OCI runtime that has this container. */
void rt_container_oci(struct rt_container *c, struct rt_launch_request *req);
int rt_not_running(const struct rt_container *c, struct bh_err *err);
int rt_container_blobs(struct rt_container *c, struct bh_buf *spec, struct bh_buf *request, struct bh_buf *config,
                       struct bh_err *err);

/* ---- table ------------------------------------------------------------------------------- */

struct rt_table;

struct rt_table *rt_table_new(void);
/* Takes the container's name among its owner's; the table keeps a reference.  BH_E_CONFLICT in docker's words. */
int rt_table_add(struct rt_table *t, struct rt_container *c, struct bh_err *err);
void rt_table_remove(struct rt_table *t, struct rt_container *c);
int rt_table_rename(struct rt_table *t, struct rt_container *c, const char *name, struct bh_err *err);
void rt_table_name(struct rt_table *t, struct rt_container *c, char out[RT_NAME_SIZE]);
/* By name, full id or unique prefix, among what the caller may see.  A new reference. */
int rt_table_find(struct rt_table *t, const struct rt_caller *who, const char *text, struct rt_container **out,
                  struct bh_err *err);
/* All that the caller may see, oldest first, a reference each; free with rt_table_list_free. */
void rt_table_list(struct rt_table *t, const struct rt_caller *who, struct rt_container ***out, size_t *out_n);
void rt_table_list_free(struct rt_container **list, size_t n);

/* How a container that was removed a short while ago has ended: for a wait that comes too late. */
void rt_table_bury(struct rt_table *t, struct rt_container *c);
bool rt_table_grave(struct rt_table *t, const struct rt_caller *who, const char *id, struct rt_status *out);

#endif
