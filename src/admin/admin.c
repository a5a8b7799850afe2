#include "admin/admin.h"

#include "admin/http.h"
#include "admin/request.h"
#include "base/check.h"
#include "base/log.h"
#include "gate/gate.h"
#include "reactor/fdtable.h"
#include "state/shard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SCHEME "http://"
#define LISTENER_SCHEME "tcp://"
/* Those for whom there is no place yet wait in it. */
#define BACKLOG 1024
#define TICK_S 1

/* The thread that holds the descriptor table in which the HTTP server's own thread works. */
struct keeper {
	struct admin admin; /* first: what others see */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct listener listener;
	bool started;
	bool failed;
	bool stopping;
};

static struct keeper *keeper_of(struct admin *admin)
{
	return (struct keeper *)admin;
}

/* ---- its address ---- */

static bool complain(const struct admin_options *options, const char *why)
{
	log_write(LOG_ERROR, "admin on %s: %s", options->url, why);
	return false;
}

static bool read_address(const struct admin_options *options, struct listener *listener)
{
	char url[sizeof(LISTENER_SCHEME) + LISTENER_URL_BYTES_MAX];
	const char *fault = "the scheme is not " SCHEME;
	if (strncmp(options->url, SCHEME, strlen(SCHEME)) != 0)
		return complain(options, fault);
	snprintf(url, sizeof(url), LISTENER_SCHEME "%s", options->url + strlen(SCHEME));
	if (listener_parse(url, listener, &fault) != ERROR_OK)
		return complain(options, fault);
	return true;
}

/* Of a name's addresses, the first that this machine has. */
static bool open_address(const struct admin_options *options, struct listener *listener)
{
	struct listener found[LISTENER_ADDRESSES_MAX];
	const char *fault;
	size_t count = listener_resolve(listener, found, &fault);
	for (size_t i = 0; i < count; i++) {
		if (!found[i].loopback && options->token_file[0] == '\0')
			return complain(options, "an address that is not loopback needs --admin-token-file");
		if (listener_open(&found[i], (struct listener_options){.backlog = BACKLOG}) == ERROR_OK) {
			*listener = found[i];
			return true;
		}
		fault = strerror(errno);
		if (errno != EADDRNOTAVAIL && errno != EAFNOSUPPORT)
			break;
	}
	return complain(options, fault);
}

static void name_address(struct admin *admin, const struct listener *listener)
{
	snprintf(admin->options.url, sizeof(admin->options.url), SCHEME "%s", listener->url + strlen(LISTENER_SCHEME));
}

/* ---- the thread ---- */

static void await_end(struct keeper *keeper)
{
	pthread_mutex_lock(&keeper->lock);
	while (!keeper->stopping) {
		struct timespec at;
		clock_gettime(CLOCK_MONOTONIC, &at);
		at.tv_sec += TICK_S;
		pthread_cond_timedwait(&keeper->changed, &keeper->lock, &at);
		pthread_mutex_unlock(&keeper->lock);
		server_end_slow(keeper->admin.server);
		pthread_mutex_lock(&keeper->lock);
	}
	pthread_mutex_unlock(&keeper->lock);
}

/* A table with the listener, and with what wakes the gateway's threads. */
static void settle_in(const struct keeper *keeper)
{
	struct gateway_parts parts = gateway_parts(keeper->admin.gateway);
	if (!parts.private_tables)
		return;
	size_t count = 0;
	int *keeps = calloc(parts.shard_count + parts.gate_count + 1u, sizeof(*keeps));
	CHECK(keeps != NULL);
	for (uint16_t i = 0; i < parts.shard_count; i++)
		keeps[count++] = parts.mailboxes[i].waker.fd;
	for (uint16_t i = 0; i < parts.gate_count; i++)
		keeps[count++] = parts.gates[i].waker.fd;
	keeps[count++] = keeper->listener.fd;
	fdtable_detach(keeps, count);
	free(keeps);
}

static void *keeper_main(void *argument)
{
	struct keeper *keeper = argument;
	struct admin *admin = &keeper->admin;
	settle_in(keeper);
	struct server *server = server_start(admin, keeper->listener.fd);
	pthread_mutex_lock(&keeper->lock);
	keeper->started = true;
	keeper->failed = server == NULL;
	pthread_cond_broadcast(&keeper->changed);
	pthread_mutex_unlock(&keeper->lock);
	if (server == NULL)
		return NULL;
	await_end(keeper);
	server_stop(server);
	return NULL;
}

static struct keeper *keeper_new(const struct admin_options *options, struct gateway *gateway, struct admin_hooks hooks)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	pthread_condattr_t attributes;
	if (keeper == NULL)
		return NULL;
	keeper->admin.options = *options;
	keeper->admin.gateway = gateway;
	keeper->admin.hooks = hooks;
	keeper->listener.fd = -1;
	guard_init(&keeper->admin.guard);
	CHECK(pthread_mutex_init(&keeper->lock, NULL) == 0);
	CHECK(pthread_condattr_init(&attributes) == 0);
	CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
	CHECK(pthread_cond_init(&keeper->changed, &attributes) == 0);
	pthread_condattr_destroy(&attributes);
	return keeper;
}

static void keeper_free(struct keeper *keeper)
{
	pthread_cond_destroy(&keeper->changed);
	pthread_mutex_destroy(&keeper->lock);
	guard_fini(&keeper->admin.guard);
	free(keeper);
}

static bool start_thread(struct keeper *keeper)
{
	if (pthread_create(&keeper->thread, NULL, keeper_main, keeper) != 0)
		return complain(&keeper->admin.options, strerror(errno));
	pthread_mutex_lock(&keeper->lock);
	while (!keeper->started)
		pthread_cond_wait(&keeper->changed, &keeper->lock);
	pthread_mutex_unlock(&keeper->lock);
	if (!keeper->failed)
		return true;
	pthread_join(keeper->thread, NULL);
	return complain(&keeper->admin.options, "the HTTP server does not start");
}

/* ---- for the main thread ---- */

static bool start(struct keeper *keeper)
{
	char fault[GUARD_FAULT_BYTES_MAX];
	struct admin *admin = &keeper->admin;
	if (!read_address(&admin->options, &keeper->listener))
		return false;
	if (!guard_read_token(&admin->guard, admin->options.token_file, fault))
		return complain(&admin->options, fault);
	if (!open_address(&admin->options, &keeper->listener))
		return false;
	name_address(admin, &keeper->listener);
	if (!start_thread(keeper))
		return false;
	/* The keeper's table has its own. */
	if (gateway_parts(admin->gateway).private_tables)
		listener_close(&keeper->listener);
	log_write(LOG_INFO, "admin on %s", admin->options.url);
	if (!keeper->listener.loopback)
		log_write(LOG_WARNING,
			  "the admin side's token crosses the network in clear at %s: put it behind a proxy with TLS",
			  admin->options.url);
	return true;
}

bool admin_start(const struct admin_options *options, struct gateway *gateway, struct admin_hooks hooks,
		 struct admin **admin)
{
	*admin = NULL;
	if (options->url[0] == '\0')
		return true;
	struct keeper *keeper = keeper_new(options, gateway, hooks);
	if (keeper == NULL)
		return complain(options, error_sentence(ERROR_NO_MEMORY));
	if (start(keeper)) {
		*admin = &keeper->admin;
		return true;
	}
	keeper_free(keeper);
	if (!options->url_is_default)
		return false;
	log_write(LOG_WARNING, "going on without the admin side; --admin gives it another address, or switches it off");
	return true;
}

bool admin_check_token(const struct admin *admin, FILE *report)
{
	struct guard trial;
	char fault[GUARD_FAULT_BYTES_MAX];
	guard_init(&trial);
	bool good = admin == NULL || guard_read_token(&trial, admin->options.token_file, fault);
	guard_fini(&trial);
	if (!good)
		fprintf(report, "%s\n", fault);
	return good;
}

bool admin_reload_token(struct admin *admin, FILE *report)
{
	char fault[GUARD_FAULT_BYTES_MAX];
	if (admin == NULL || guard_read_token(&admin->guard, admin->options.token_file, fault))
		return true;
	fprintf(report, "%s\n", fault);
	return false;
}

void admin_set_draining(struct admin *admin)
{
	if (admin != NULL)
		atomic_store(&admin->draining, true);
}

void admin_stop(struct admin *admin)
{
	if (admin == NULL)
		return;
	struct keeper *keeper = keeper_of(admin);
	pthread_mutex_lock(&keeper->lock);
	keeper->stopping = true;
	pthread_cond_broadcast(&keeper->changed);
	pthread_mutex_unlock(&keeper->lock);
	pthread_join(keeper->thread, NULL);
	keeper_free(keeper);
}
