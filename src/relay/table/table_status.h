/* How the table of who is online is doing, as the admin side shows it. Copied under a lock; any thread. */
#ifndef RELAY_TABLE_STATUS_H
#define RELAY_TABLE_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#define TABLE_FAULT_BYTES 256u
#define TABLE_KEY_BYTES 160u

enum table_state {
	TABLE_WAITING, /* Redis is away, or something went wrong a moment ago -> LISTING */
	TABLE_LISTING, /* it is made anew of all clients -> WORKING, WAITING */
	TABLE_WORKING, /* it follows those who come and go -> LISTING, WAITING */
};

struct table_status {
	bool is_on;
	enum table_state state;
	char key[TABLE_KEY_BYTES]; /* of the hash */
	uint64_t clients;          /* in it, as far as Redis has confirmed */
	uint64_t events;           /* comings and goings that it has taken up */
	uint64_t listings;         /* times that it was made anew */
	double renewed_s;          /* since Redis has last confirmed that it lives on; 0: never */
	double fault_age_s;
	char fault[TABLE_FAULT_BYTES]; /* the last one, in words; "": there was none */
};

/* "waiting", "listing", "working". */
const char *table_state_name(enum table_state state);

#endif
