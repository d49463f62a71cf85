/*
 * clock.h - time: now, RFC 3339 both ways, durations as docker writes them.
 *
 * Room: all.
 */
#ifndef BH_BASE_CLOCK_H
#define BH_BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BH_NSEC ((int64_t)1000000000)

int64_t bh_now_ns(void);  /* CLOCK_REALTIME */
int64_t bh_mono_ns(void); /* CLOCK_MONOTONIC */

/* "2024-01-02T03:04:05.000000006Z"; the fraction is cut of trailing zeros and left out when 0. */
#define BH_RFC3339_SIZE 40
void bh_time_rfc3339(int64_t ns, char out[BH_RFC3339_SIZE]);
/* Accepts what Go's RFC3339Nano accepts: any fraction up to nine digits, Z or +hh:mm. */
bool bh_time_parse(const char *s, int64_t *out_ns);
/* A Go duration: "1h30m", "10s", "250ms", "1.5h". */
bool bh_duration_parse(const char *s, int64_t *out_ns);

#endif
