/*
 * retry.c - when to send again, and how long to wait before, see http.h.
 *
 * Room: registry.  Retry-After is a server's wish: it is honoured up to two minutes, and a longer one ends the trying.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/str.h"
#include "svc-registry/http.h"

#define FIRST_MS     500
#define LONGEST_MS   15000
#define AFTER_MAX    120             /* seconds of a Retry-After */
#define WHOLE_NS     (300 * BH_NSEC) /* without progress */
#define NOT_A_MOMENT (-1)

void reg_retry_init(struct reg_retry *r, unsigned max, int cancel_fd) {
    *r = (struct reg_retry){.max = max ? max : REG_TRIES, .started_ns = bh_mono_ns(), .cancel_fd = cancel_fd};
}

bool reg_retry_status(int status) {
    static const int again[] = {408, 429, 500, 502, 503, 504};

    for (size_t i = 0; i < sizeof again / sizeof again[0]; i++) {
        if (again[i] == status)
            return true;
    }
    return false;
}

bool reg_retry_error(const struct bh_err *e) {
    return e->code == BH_E_UNAVAILABLE &&
           (strcmp(e->reason, "connection-lost") == 0 || strcmp(e->reason, "timeout") == 0);
}

/* A server that never answered is not asked again: the name or the address is wrong, or the next place is better. */
static bool worked_before(const struct reg_retry *r, const struct bh_err *e) {
    return r->worked && e->code == BH_E_UNAVAILABLE &&
           (strcmp(e->reason, "connect") == 0 || strcmp(e->reason, "dns") == 0);
}

/* Seconds or a date; NOT_A_MOMENT for anything else. */
int64_t reg_retry_after(const struct reg_http_response *response) {
    const char *text = response ? reg_http_header(response, "retry-after") : "";
    struct tm tm = {0};
    uint64_t seconds;

    if (bh_str_u64(text, &seconds))
        return seconds > 1000000 ? 1000000 : (int64_t)seconds;
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    if (!end || *end)
        return NOT_A_MOMENT;
    int64_t left = (int64_t)timegm(&tm) - bh_now_ns() / BH_NSEC;
    return left < 0 ? 0 : left;
}

/* Grows twofold; up to half of it is left to chance, so that many clients do not come back at once. */
static int64_t pause_ms(unsigned tries) {
    int64_t ms = FIRST_MS;
    uint16_t chance = 0;

    while (tries-- > 1 && ms < LONGEST_MS)
        ms *= 2;
    ms = ms > LONGEST_MS ? LONGEST_MS : ms;
    if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) != sizeof chance)
        chance = 0x8000;
    return ms / 2 + ms / 2 * chance / 0xffff;
}

static int sleep_ms(const struct reg_retry *r, int64_t ms, struct bh_err *err) {
    struct pollfd p = {.fd = r->cancel_fd, .events = POLLIN};

    if (poll(&p, 1, (int)ms) <= 0)
        return 0;
    bh_err_clear(err);
    bh_err_set(err, BH_E_CANCELLED, "cancelled");
    return bh_err_reason(err, "cancelled");
}

int reg_retry_wait(struct reg_retry *r, const struct reg_http_response *response, uint64_t moved, struct bh_err *err) {
    int64_t after = reg_retry_after(response), ms;
    bool status = response && reg_retry_status(response->status);

    r->worked |= moved > 0 || response;
    if (moved >= REG_RETRY_STEP) {
        r->tries = 0;
        r->started_ns = bh_mono_ns();
    }
    if (!status && !reg_retry_error(err) && !worked_before(r, err))
        return err->code ? err->code : BH_E_UNKNOWN;
    if (++r->tries >= r->max || after > AFTER_MAX || bh_mono_ns() - r->started_ns > WHOLE_NS)
        return err->code ? err->code : BH_E_UNAVAILABLE;
    ms = pause_ms(r->tries);
    if (after > 0 && after * 1000 > ms)
        ms = after * 1000 + pause_ms(1) / 4;
    if (r->pausing)
        r->pausing(r->arg, (unsigned)((ms + 999) / 1000));
    return sleep_ms(r, ms, err);
}
