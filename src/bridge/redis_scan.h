/* One scan of all revocations in Redis, page by page, so that its thread can do other work between pages. The round of
 * access (access/access.h) is open from the beginning to the last page; revocations that were not seen are lifted at
 * its end. Owned by the bridge's thread, which may block for one page. */
#ifndef BRIDGE_REDIS_SCAN_H
#define BRIDGE_REDIS_SCAN_H

#include "auth/revocation/revocation.h"
#include "bridge/redis_link.h"

#define REDIS_CURSOR_BYTES 24u

/* Called for each revocation that is in force. */
typedef void redis_scan_visit(void *context, const struct revocation *revocation);
/* Called where a server of a cluster lists a key and says that another has it: asks that one for its time to live, as
 * PTTL answers it. false: it could not be asked. */
typedef bool redis_scan_elsewhere(void *context, struct slice key, int64_t *ttl_ms);

struct redis_scan {
	char cursor[REDIS_CURSOR_BYTES]; /* a number below 2^64 that Redis chooses; "0" at the beginning and the end */
	redis_scan_visit *visit;
	redis_scan_elsewhere *elsewhere; /* NULL: there is no other server */
	void *context;
};

void redis_scan_begin(struct redis_scan *scan, redis_scan_visit *visit, redis_scan_elsewhere *elsewhere, void *context);
/* Goes on with another server of the same cluster, from its first page. */
void redis_scan_go_on(struct redis_scan *scan);
/* Reads one page; sets *done after the last one. Returns false if the link is broken, or elsewhere() has failed; the
 * link may be closed then. */
bool redis_scan_page(struct redis_scan *scan, struct redis_link *link, int64_t now_s, bool *done);

#endif
