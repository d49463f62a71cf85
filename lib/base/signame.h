/*
 * signame.h - signals by name and number, as STOPSIGNAL, --stop-signal and kill -s take them.
 *
 * Room: all.  Pure.
 */
#ifndef BH_BASE_SIGNAME_H
#define BH_BASE_SIGNAME_H

/* "TERM", "sigterm", "15", "RTMIN+3", "SIGRTMAX-1" -> number; 0 if it is none (1..64). */
int bh_signal_parse(const char *text);
/* "SIGTERM", or "" for a real-time or unknown number. */
const char *bh_signal_name(int number);

#endif
