#include "admin/admin.h"

#include "admin/api/dispatch.h"
#include "admin/http/server.h"
#include "admin/nodes/answerer.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/tls/tls_keeper.h"
#include "gate/gate.h"
#include "reactor/fdtable.h"
#include "runtime/nodes/node_mail.h"
#include "state/shard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SCHEME "http://"
#define LISTENER_SCHEME "tcp://"
/* Clients wait in it until a connection slot is free. */
#define BACKLOG 1024
#define ANSWERS_MS_MAX 1000u

#define NO_TOKEN "an address that is not loopback needs --admin-token-file"

struct admin {
	struct admin_options options;
	struct api api;
	struct listener listener;
	struct waker waker;
	struct http_server *server;
	struct answerer *answerer; /* NULL: the gateway is in no cluster */
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

static const char *admin_scheme(const char *url)
{
	return admin_is_tls(url) ? ADMIN_TLS_SCHEME : SCHEME;
}

static bool read_address(const struct admin_options *options, struct listener *listener)
{
	char url[sizeof(LISTENER_SCHEME) + LISTENER_URL_BYTES_MAX];
	const char *fault = "the scheme is neither " SCHEME " nor " ADMIN_TLS_SCHEME;
	const char *scheme = admin_scheme(options->url);
	if (strncmp(options->url, scheme, strlen(scheme)) != 0)
		return admin_fail(options, fault);
	/* Not HTTP's port by default, nor MQTT's: one who leaves it out means neither. */
	const char *host = options->url + strlen(scheme);
	if (strchr(host[0] == '[' ? host + strcspn(host, "]") : host, ':') == NULL)
		return admin_fail(options, "a port is wanted, as in " SCHEME "127.0.0.1:9883");
	snprintf(url, sizeof(url), LISTENER_SCHEME "%s", options->url + strlen(scheme));
	if (listener_parse(url, listener, &fault) != ERROR_OK)
		return admin_fail(options, fault);
	return true;
}

/* Opens the first of the name's addresses that this machine has. */
static bool open_address(const struct admin_options *options, struct listener *listener)
{
	struct listener found[LISTENER_ADDRESSES_MAX];
	const char *fault;
	if (strcmp(options->inherited.asked, options->url) == 0) {
		/* The token may have been taken out of the configuration since. */
		if (!options->inherited.loopback && options->token_file[0] == '\0')
			return admin_fail(options, NO_TOKEN);
		*listener = options->inherited;
		return true;
	}
	size_t count = listener_resolve(listener, found, &fault);
	for (size_t i = 0; i < count; i++) {
		if (!found[i].loopback && options->token_file[0] == '\0')
			return admin_fail(options, NO_TOKEN);
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
	size_t most = parts.shard_count + parts.gate_count + 5u;
	int *keeps = calloc(most, sizeof(*keeps));
	CHECK(keeps != NULL);
	for (uint16_t i = 0; i < parts.shard_count; i++)
		keeps[count++] = parts.mailboxes[i].waker.fd;
	for (uint16_t i = 0; i < parts.gate_count; i++)
		keeps[count++] = parts.gates[i].waker.fd;
	keeps[count++] = admin->listener.fd;
	keeps[count++] = admin->waker.fd;
	keeps[count++] = admin->api.hooks.upgrade_fd;
	keeps[count++] = admin->api.hooks.relay_fd;
	if (parts.nodes != NULL)
		keeps[count++] = parts.nodes->waker.fd;
	CHECK_LE(count, most);
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
	struct tls_contexts *contexts =
		admin_is_tls(admin->options.url) ? &gateway_tls(admin->api.gateway)->contexts : NULL;
	admin->server = http_server_new(&service, admin->listener.fd, &admin->waker, contexts);
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
	atomic_init(&admin->api.starting, true);
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
	bool is_tls = admin_is_tls(admin->options.url);
	memcpy(admin->listener.asked, admin->options.url, sizeof(admin->listener.asked));
	snprintf(admin->options.url, sizeof(admin->options.url), "%s%s", admin_scheme(admin->options.url),
		 admin->listener.url + strlen(LISTENER_SCHEME));
	if (admin->api.hooks.nodes != NULL) {
		admin->answerer = answerer_start(&admin->api, admin->api.hooks.nodes);
		if (admin->answerer == NULL)
			return admin_fail(&admin->options, error_sentence(ERROR_NO_MEMORY));
	}
	if (!start_thread(admin)) {
		answerer_stop(admin->answerer);
		return false;
	}
	log_write(LOG_INFO, "admin on %s", admin->options.url);
	if (!admin->listener.loopback && !is_tls)
		log_write(LOG_WARNING,
			  "the admin side's token crosses the network in clear at %s: https:// in its place, or a "
			  "proxy with TLS in front, protects it",
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

bool admin_check_options(const struct admin_options *options)
{
	struct listener listener;
	struct listener found[LISTENER_ADDRESSES_MAX];
	struct guard guard;
	const char *fault;
	char wrong[GUARD_FAULT_BYTES_MAX];
	if (options->url[0] == '\0')
		return true;
	if (!read_address(options, &listener))
		return false;
	size_t count = listener_resolve(&listener, found, &fault);
	if (count == 0)
		return admin_fail(options, fault);
	for (size_t i = 0; i < count && options->token_file[0] == '\0'; i++) {
		if (!found[i].loopback)
			return admin_fail(options, NO_TOKEN);
	}
	guard_init(&guard);
	bool good = guard_read_token(&guard, options->token_file, wrong);
	guard_fini(&guard);
	return good || admin_fail(options, wrong);
}

struct listener admin_listener(const struct admin *admin)
{
	return admin != NULL ? admin->listener : (struct listener){.fd = -1};
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

void admin_set_recovery(struct admin *admin, uint32_t percent)
{
	CHECK(percent <= 100);
	if (admin != NULL)
		atomic_store(&admin->api.recovery_percent, percent);
}

void admin_set_started(struct admin *admin)
{
	if (admin != NULL)
		atomic_store(&admin->api.starting, false);
}

void admin_set_upgrades(struct admin *admin, uint64_t done, uint64_t refused, uint64_t silent_us)
{
	if (admin == NULL)
		return;
	atomic_store(&admin->api.counts.upgrades_done, done);
	atomic_store(&admin->api.counts.upgrades_refused, refused);
	atomic_store(&admin->api.counts.upgrade_silent_us, silent_us);
}

void admin_set_draining(struct admin *admin)
{
	if (admin != NULL)
		atomic_store(&admin->api.draining, true);
}

void admin_await_answers(const struct admin *admin)
{
	static const struct timespec pause = {.tv_nsec = 1000000};
	uint64_t until_ms = clock_now_ms() + ANSWERS_MS_MAX;
	while (admin != NULL && atomic_load(&admin->api.answering) != 0 && clock_now_ms() < until_ms)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

void admin_stop(struct admin *admin)
{
	if (admin == NULL)
		return;
	answerer_stop(admin->answerer);
	atomic_store(&admin->stopping, true);
	waker_wake(&admin->waker);
	pthread_join(admin->thread, NULL);
	/* The thread has closed its own, which in a shared table is the same. */
	if (gateway_parts(admin->api.gateway).private_tables)
		listener_close(&admin->listener);
	admin_free(admin);
}
