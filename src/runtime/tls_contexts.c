#include "runtime/tls_contexts.h"

#include "base/check.h"

void tls_contexts_open(struct tls_contexts *contexts)
{
	*contexts = (struct tls_contexts){.version = 0};
	CHECK(pthread_mutex_init(&contexts->lock, NULL) == 0);
}

void tls_contexts_close(struct tls_contexts *contexts)
{
	tls_context_set_drop(&contexts->current);
	pthread_mutex_destroy(&contexts->lock);
}

void tls_context_set_drop(struct tls_context_set *set)
{
	for (size_t i = 0; i < SETTINGS_TLS_MAX; i++)
		tls_context_put(&set->items[i]);
}

void tls_contexts_publish(struct tls_contexts *contexts, struct tls_context_set *fresh)
{
	pthread_mutex_lock(&contexts->lock);
	struct tls_context_set old = contexts->current;
	contexts->current = *fresh;
	atomic_fetch_add(&contexts->version, 1);
	pthread_mutex_unlock(&contexts->lock);
	*fresh = (struct tls_context_set){0};
	tls_context_set_drop(&old);
}

uint32_t tls_contexts_take(struct tls_contexts *contexts, struct tls_context_set *taken)
{
	tls_context_set_drop(taken);
	pthread_mutex_lock(&contexts->lock);
	for (size_t i = 0; i < SETTINGS_TLS_MAX; i++) {
		if (contexts->current.items[i] != NULL)
			taken->items[i] = tls_context_get(contexts->current.items[i]);
	}
	uint32_t version = atomic_load(&contexts->version);
	pthread_mutex_unlock(&contexts->lock);
	return version;
}
