#include "admin/admin.h"

#include "admin/api/dispatch.h"
#include "admin/http/server.h"
#include "base/check.h"
#include "base/log.h"
#include "gate/gate.h"
#include "reactor/fdtable.h"
#include "state/shard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SCHEME "http://"
#define LISTENER_SCHEME "tcp://"
/* Clients wait in it until a connection slot is free. */
#define BACKLOG 1024

struct admin {
	struct admin_options options;
	struct api api;
	struct listener listener;
	struct waker waker;
	struct http_server *server;
	pthread_t thread;
	_Atomic bool stopping;
	/* What the main thread waits for at start. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool started;
	bool failed;
};

/* ---- its address ---- */

static bool admin_fail(const struct admin_options *options, const char *why)
{
	log_write(LOG_ERROR, "admin on %s: %s", options->url, why);
	return false;
}

static bool read_address(const struct admin_options *options, struct listener *listener)
{
	char url[sizeof(LISTENER_SCHEME) + LISTENER_URL_BYTES_MAX];
	const char *fault = "the scheme is not " SCHEME;
	if (strncmp(options->url, SCHEME, strlen(SCHEME)) != 0)
		return admin_fail(options, fault);
	snprintf(url, sizeof(url), LISTENER_SCHEME "%s", options->url + strlen(SCHEME));
	if (listener_parse(url, listener, &fault) != ERROR_OK)
		return admin_fail(options, fault);
	return true;
}

/* Opens the first of the name's addresses that this machine has. */
static bool open_address(const struct admin_options *options, struct listener *listener)
{
	struct listener found[LISTENER_ADDRESSES_MAX];
	const char *fault;
	size_t count = listener_resolve(listener, found, &fault);
	for (size_t i = 0; i < count; i++) {
		if (!found[i].loopback && options->token_file[0] == '\0')
			return admin_fail(options, "an address that is not loopback needs --admin-token-file");
		if (listener_open(&found[i], (struct listener_options){.backlog = BACKLOG}) == ERROR_OK) {
			*listener = found[i];
			return true;
		}
		fault = strerror(errno);
		if (errno != EADDRNOTAVAIL && errno != EAFNOSUPPORT)
			break;
	}
	return admin_fail(options, fault);
}

/* ---- the thread ---- */

/* The new table keeps the listener and all wakers: this thread's and those of shards and gates. */
static void detach_table(const struct admin *admin)
{
	struct gateway_parts parts = gateway_parts(admin->api.gateway);
	if (!parts.private_tables)
		return;
	size_t count = 0;
	size_t most = parts.shard_count + parts.gate_count + 2u;
	int *keeps = calloc(most, sizeof(*keeps));
	CHECK(keeps != NULL);
	for (uint16_t i = 0; i < parts.shard_count; i++)
		keeps[count++] = parts.mailboxes[i].waker.fd;
	for (uint16_t i = 0; i < parts.gate_count; i++)
		keeps[count++] = parts.gates[i].waker.fd;
	keeps[count++] = admin->listener.fd;
	keeps[count++] = admin->waker.fd;
	CHECK(count == most);
	fdtable_detach(keeps, count);
	free(keeps);
}

static void say_started(struct admin *admin, bool failed)
{
	pthread_mutex_lock(&admin->lock);
	CHECK(!admin->started);
	admin->started = true;
	admin->failed = failed;
	pthread_cond_signal(&admin->changed);
	pthread_mutex_unlock(&admin->lock);
}

static void on_started(void *admin)
{
	say_started(admin, false);
}

static void *admin_main(void *argument)
{
	struct admin *admin = argument;
	detach_table(admin);
	if (http_server_run(admin->server, &admin->stopping, on_started, admin) != ERROR_OK)
		say_started(admin, true);
	/* Freed here, because its descriptors live in this thread's table. */
	http_server_free(admin->server);
	return NULL;
}

static bool start_thread(struct admin *admin)
{
	struct http_service service = api_service(&admin->api);
	admin->server = http_server_new(&service, admin->listener.fd, &admin->waker);
	if (admin->server == NULL)
		return admin_fail(&admin->options, error_sentence(ERROR_NO_MEMORY));
	int error = pthread_create(&admin->thread, NULL, admin_main, admin);
	if (error != 0) {
		http_server_free(admin->server);
		return admin_fail(&admin->options, strerror(error));
	}
	pthread_mutex_lock(&admin->lock);
	while (!admin->started)
		pthread_cond_wait(&admin->changed, &admin->lock);
	pthread_mutex_unlock(&admin->lock);
	if (!admin->failed)
		return true;
	pthread_join(admin->thread, NULL);
	return admin_fail(&admin->options, "the HTTP server does not start");
}

/* ---- for the main thread ---- */

static struct admin *admin_new(const struct admin_options *options, struct gateway *gateway, struct admin_hooks hooks)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	if (admin == NULL || waker_open(&admin->waker) != ERROR_OK) {
		free(admin);
		return NULL;
	}
	admin->options = *options;
	admin->listener.fd = -1;
	admin->api.gateway = gateway;
	admin->api.hooks = hooks;
	admin->api.open_metrics = options->open_metrics;
	guard_init(&admin->api.guard);
	CHECK(pthread_mutex_init(&admin->lock, NULL) == 0);
	CHECK(pthread_cond_init(&admin->changed, NULL) == 0);
	return admin;
}

static void admin_free(struct admin *admin)
{
	pthread_cond_destroy(&admin->changed);
	pthread_mutex_destroy(&admin->lock);
	guard_fini(&admin->api.guard);
	waker_close(&admin->waker);
	free(admin);
}

static bool open_and_start(struct admin *admin)
{
	char fault[GUARD_FAULT_BYTES_MAX];
	if (!read_address(&admin->options, &admin->listener))
		return false;
	if (!guard_read_token(&admin->api.guard, admin->options.token_file, fault))
		return admin_fail(&admin->options, fault);
	if (!open_address(&admin->options, &admin->listener))
		return false;
	snprintf(admin->options.url, sizeof(admin->options.url), SCHEME "%s",
		 admin->listener.url + strlen(LISTENER_SCHEME));
	if (!start_thread(admin))
		return false;
	/* The thread's table holds a copy of its own. */
	if (gateway_parts(admin->api.gateway).private_tables)
		listener_close(&admin->listener);
	log_write(LOG_INFO, "admin on %s", admin->options.url);
	if (!admin->listener.loopback)
		log_write(LOG_WARNING,
			  "the admin side's token crosses the network in clear at %s: put it behind a proxy with TLS",
			  admin->options.url);
	return true;
}

bool admin_start(const struct admin_options *options, struct gateway *gateway, struct admin_hooks hooks,
		 struct admin **started)
{
	*started = NULL;
	if (options->url[0] == '\0')
		return true;
	struct admin *admin = admin_new(options, gateway, hooks);
	if (admin == NULL)
		return admin_fail(options, error_sentence(ERROR_NO_MEMORY));
	if (open_and_start(admin)) {
		*started = admin;
		return true;
	}
	admin_free(admin);
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
	if (admin == NULL || guard_read_token(&admin->api.guard, admin->options.token_file, fault))
		return true;
	fprintf(report, "%s\n", fault);
	return false;
}

void admin_set_draining(struct admin *admin)
{
	if (admin != NULL)
		atomic_store(&admin->api.draining, true);
}

void admin_stop(struct admin *admin)
{
	if (admin == NULL)
		return;
	atomic_store(&admin->stopping, true);
	waker_wake(&admin->waker);
	pthread_join(admin->thread, NULL);
	admin_free(admin);
}
