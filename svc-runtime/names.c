/*
 * names.c - names of containers, see names.h.
 *
 * Room: runtime.  Reads foreign text.  The word lists are our own: adjectives of temper and weather,
 * surnames of people who worked on ships, tides, instruments and computing machines.
 */
#include "svc-runtime/names.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"

static const char *const adjectives[] = {
    "able",  "agile",   "airy",   "alert",  "amber",   "ample",  "apt",     "arctic", "astute",  "balmy",  "bold",
    "brave", "breezy",  "bright", "brisk",  "calm",    "candid", "careful", "cheery", "civil",   "clear",  "clever",
    "cool",  "crisp",   "daring", "deft",   "dewy",    "eager",  "earnest", "easy",   "fair",    "fleet",  "fond",
    "frank", "fresh",   "gentle", "glad",   "golden",  "grand",  "hardy",   "hearty", "honest",  "humble", "jolly",
    "keen",  "kind",    "lively", "loyal",  "lucid",   "mellow", "merry",   "mild",   "modest",  "neat",   "nimble",
    "noble", "patient", "placid", "plain",  "polite",  "prompt", "proud",   "quick",  "quiet",   "ready",  "rosy",
    "sage",  "serene",  "sharp",  "silver", "sincere", "smooth", "snug",    "sober",  "solid",   "spry",   "steady",
    "stout", "sturdy",  "sunny",  "swift",  "tidal",   "tidy",   "trusty",  "upbeat", "valiant", "vivid",  "warm",
    "wary",  "wise",    "witty",  "zesty",
};
static const char *const surnames[] = {
    "airy",     "amsler",     "babbage",  "backus",    "bartik",   "beaufort", "booth",      "bowditch", "brahe",
    "brunel",   "carrington", "cerf",     "clarke",    "cook",     "cray",     "darwin",     "davy",     "dijkstra",
    "doodson",  "earnshaw",   "elgar",    "engelbart", "ericsson", "euler",    "faraday",    "fitzroy",  "floyd",
    "foucault", "froude",     "fulton",   "galileo",   "gauss",    "gilbert",  "goldstine",  "graham",   "hadley",
    "halley",   "hamming",    "harrison", "henderson", "herschel", "hoare",    "hollerith",  "hooke",    "hopper",
    "huygens",  "jacquard",   "jones",    "kelvin",    "kepler",   "knuth",    "lamport",    "laplace",  "lovelace",
    "maury",    "mauchly",    "mercator", "milne",     "naur",     "newcomen", "nygaard",    "parsons",  "perlis",
    "plimsoll", "ptolemy",    "ramsden",  "rennie",    "ritchie",  "russell",  "sammet",     "shannon",  "smeaton",
    "sperry",   "stevin",     "stokes",   "telford",   "thomson",  "tompion",  "trevithick", "turing",   "watt",
    "wilkes",   "wirth",      "zuse",
};

static bool first_ok(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool rest_ok(char c) {
    return first_ok(c) || c == '_' || c == '.' || c == '-';
}

int rt_name_check(const char *name, const char **out, struct bh_err *err) {
    const char *p = *name == '/' ? name + 1 : name;
    size_t n = strlen(p);
    bool ok = n >= 2 && n <= RT_NAME_MAX && first_ok(p[0]);

    for (size_t i = 1; ok && i < n; i++)
        ok = rest_ok(p[i]);
    if (!ok) {
        bh_err_set(err, BH_E_INVALID, "invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", p);
        bh_err_reason(err, "invalid-name");
        return bh_err_hint(err, "a name has 2 to %d characters", RT_NAME_MAX);
    }
    *out = p;
    return 0;
}

void rt_name_make(char out[RT_NAME_SIZE], uint32_t a, uint32_t b, unsigned attempt) {
    const char *adjective = adjectives[a % BH_ARRAY_LEN(adjectives)];
    const char *surname = surnames[b % BH_ARRAY_LEN(surnames)];

    if (attempt == 0)
        snprintf(out, RT_NAME_SIZE, "%s_%s", adjective, surname);
    else
        snprintf(out, RT_NAME_SIZE, "%s_%s%u", adjective, surname, attempt);
}

void rt_name_random(char out[RT_NAME_SIZE], unsigned attempt) {
    uint32_t r[2] = {0, 0};

    /* Names are not secrets: a short read only makes them less random. */
    (void)!getrandom(r, sizeof r, 0);
    rt_name_make(out, r[0], r[1], attempt);
}
