/* The TLS contexts of all listeners: a snapshot that whoever loads certificates replaces as a whole, at the start, on a
 * reload, and when a file has changed. Gates take references when the version has changed; handshakes under way keep
 * theirs. Any thread. */
#ifndef RUNTIME_TLS_CONTEXTS_H
#define RUNTIME_TLS_CONTEXTS_H

#include "runtime/settings/settings.h"
#include "tls/context.h"

#include <pthread.h>
#include <stdatomic.h>

/* One for each entry of settings->listener_settings[], and SETTINGS_ADMIN; NULL where it has no TLS. */
struct tls_context_set {
	struct tls_context *items[SETTINGS_TLS_MAX];
};

struct tls_contexts {
	pthread_mutex_t lock; /* guards `current` */
	struct tls_context_set current;
	_Atomic uint32_t version; /* 0: none was published yet */
};

void tls_contexts_open(struct tls_contexts *contexts);
/* No other thread uses it any more. */
void tls_contexts_close(struct tls_contexts *contexts);

/* Takes over the references in *fresh, and drops those of before. */
void tls_contexts_publish(struct tls_contexts *contexts, struct tls_context_set *fresh);

/* Changes with every publication; costs one load. */
static inline uint32_t tls_contexts_version(const struct tls_contexts *contexts)
{
	return atomic_load_explicit(&contexts->version, memory_order_acquire);
}

/* Replaces the references in *taken (zero at first) by those of the current set. Returns its version. */
uint32_t tls_contexts_take(struct tls_contexts *contexts, struct tls_context_set *taken);
/* Drops the references. */
void tls_context_set_drop(struct tls_context_set *set);

#endif
