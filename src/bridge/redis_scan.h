/* One reading of all revocations that Redis has, page by page, so that its reader has time for other things between two
 * pages. Between begin and the last page the access' round is open: what was not read is lifted at its end. Owned by
 * the bridge's thread, which may block for one page. */
#ifndef BRIDGE_REDIS_SCAN_H
#define BRIDGE_REDIS_SCAN_H

#include "auth/revocation/revocation.h"
#include "bridge/redis_link.h"

#define REDIS_CURSOR_BYTES 24u

/* Puts one revocation in force. */
typedef void redis_scan_visit(void *context, const struct revocation *revocation);

struct redis_scan {
	char cursor[REDIS_CURSOR_BYTES]; /* Redis' own number, up to 2^64; "0" at the beginning and at the end */
	redis_scan_visit *visit;
	void *context;
};

void redis_scan_begin(struct redis_scan *scan, redis_scan_visit *visit, void *context);
/* Reads one page. False: the link is broken. *done: it was the last. */
bool redis_scan_page(struct redis_scan *scan, struct redis_link *link, int64_t now_s, bool *done);

#endif
