/*
 * clock.c - see clock.h.  The calendar is done by hand (civil-from-days), so that no time zone
 * file is opened inside a sandbox.
 */
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t clock_ns(clockid_t id) {
    struct timespec t;

    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * BH_NSEC + t.tv_nsec;
}

int64_t bh_now_ns(void) {
    return clock_ns(CLOCK_REALTIME);
}

int64_t bh_mono_ns(void) {
    return clock_ns(CLOCK_MONOTONIC);
}

/* Days since 1970-01-01 of a date of the Gregorian calendar, and back. */
static int64_t days_from_civil(int64_t y, int m, int d) {
    int64_t era, yoe, doy;

    y -= m <= 2;
    era = (y >= 0 ? y : y - 399) / 400;
    yoe = y - era * 400;
    doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void civil_from_days(int64_t days, int64_t *y, int *m, int *d) {
    int64_t era, doe, yoe, doy, mp;

    days += 719468;
    era = (days >= 0 ? days : days - 146096) / 146097;
    doe = days - era * 146097;
    yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    mp = (5 * doy + 2) / 153;
    *d = (int)(doy - (153 * mp + 2) / 5 + 1);
    *m = (int)(mp < 10 ? mp + 3 : mp - 9);
    *y = yoe + era * 400 + (*m <= 2);
}

void bh_time_rfc3339(int64_t ns, char out[BH_RFC3339_SIZE]) {
    int64_t sec = ns / BH_NSEC, frac = ns % BH_NSEC, day, rest, y;
    int m, d, n;

    if (frac < 0) {
        frac += BH_NSEC;
        sec--;
    }
    day = sec / 86400;
    rest = sec % 86400;
    if (rest < 0) {
        rest += 86400;
        day--;
    }
    civil_from_days(day, &y, &m, &d);
    n = snprintf(out, BH_RFC3339_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d", (int)y, m, d, (int)(rest / 3600),
                 (int)(rest / 60 % 60), (int)(rest % 60));
    if (frac != 0) {
        n += snprintf(out + n, BH_RFC3339_SIZE - (size_t)n, ".%09d", (int)frac);
        while (out[n - 1] == '0')
            n--;
    }
    snprintf(out + n, BH_RFC3339_SIZE - (size_t)n, "Z");
}

static bool digits(const char **s, int count, int *out) {
    int v = 0;

    for (int i = 0; i < count; i++) {
        if ((*s)[i] < '0' || (*s)[i] > '9')
            return false;
        v = v * 10 + ((*s)[i] - '0');
    }
    *s += count;
    *out = v;
    return true;
}

static bool literal(const char **s, char c) {
    return *(*s)++ == c;
}

bool bh_time_parse(const char *s, int64_t *out_ns) {
    static const int month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int y, mo, d, h, mi, sec, zh = 0, zm = 0, sign = 0;
    int64_t frac = 0, scale = BH_NSEC / 10, total;

    if (strlen(s) > 64 || !digits(&s, 4, &y) || !literal(&s, '-') || !digits(&s, 2, &mo) || !literal(&s, '-') ||
        !digits(&s, 2, &d) || (*s != 'T' && *s != 't' && *s != ' '))
        return false;
    s++;
    if (!digits(&s, 2, &h) || !literal(&s, ':') || !digits(&s, 2, &mi) || !literal(&s, ':') || !digits(&s, 2, &sec))
        return false;
    if (mo < 1 || mo > 12 || d < 1 || d > month_days[mo - 1] || h > 23 || mi > 59 || sec > 59)
        return false;
    if (mo == 2 && d == 29 && (y % 4 != 0 || (y % 100 == 0 && y % 400 != 0)))
        return false;
    if (*s == '.') {
        s++;
        if (*s < '0' || *s > '9')
            return false;
        for (; *s >= '0' && *s <= '9'; s++, scale /= 10)
            frac += (*s - '0') * scale;
    }
    if (*s == 'Z' || *s == 'z') {
        s++;
    } else {
        if (*s != '+' && *s != '-')
            return false;
        sign = *s++ == '+' ? 1 : -1;
        if (!digits(&s, 2, &zh) || !literal(&s, ':') || !digits(&s, 2, &zm) || zh > 23 || zm > 59)
            return false;
    }
    if (*s != '\0')
        return false;
    total = days_from_civil(y, mo, d) * 86400 + (h * 60L + mi) * 60 + sec - sign * (zh * 60L + zm) * 60;
    if (total > INT64_MAX / BH_NSEC - 1 || total < INT64_MIN / BH_NSEC + 1)
        return false;
    *out_ns = total * BH_NSEC + frac;
    return true;
}

bool bh_duration_parse(const char *s, int64_t *out_ns) {
    double total = 0;
    int sign = 1;

    if (*s == '-' || *s == '+')
        sign = *s++ == '-' ? -1 : 1;
    if (strcmp(s, "0") == 0) {
        *out_ns = 0;
        return true;
    }
    if (*s == '\0')
        return false;
    while (*s != '\0') {
        static const struct {
            const char *name;
            double ns;
        } units[] = {{"ns", 1},   {"us", 1e3}, {"\xc2\xb5s", 1e3}, {"\xce\xbcs", 1e3},
                     {"ms", 1e6}, {"s", 1e9},  {"m", 60e9},        {"h", 3600e9}};
        size_t number = strspn(s, "0123456789.");
        char *end = NULL;
        double v, unit = 0;

        v = strtod(s, &end);
        if (number == 0 || end != s + number) /* no exponent, no hex, one dot */
            return false;
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
            size_t n = strlen(units[i].name);

            if (strncmp(end, units[i].name, n) == 0) {
                unit = units[i].ns;
                end += n;
                break;
            }
        }
        if (unit == 0)
            return false;
        total += v * unit;
        s = end;
    }
    if (total > 9.2e18)
        return false;
    *out_ns = sign * (int64_t)total;
    return true;
}
