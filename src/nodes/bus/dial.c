#include "nodes/bus/dial.h"

#include "base/check.h"
#include "base/clock.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* How often the guard looks whether something is stuck, and interrupts it again. */
#define LOOK_MS 100u

enum dial_state {
	DIAL_IDLE,
	DIAL_ASKED,
	DIAL_TRYING,
	DIAL_DONE,
};

struct dial {
	struct dial_settings settings;
	int waker_fd;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Under the lock. */
	enum dial_state state;
	bool is_stopping;
	bool is_over;      /* the thread has ended, or is about to */
	bool is_abandoned; /* the thread frees all of this */
	struct bus_url url;
	struct nats_wire *wire;
	char fault[BUS_TEXT_BYTES];
	/* The nodes thread is in a call since then, on the monotonic clock; 0: it is not. */
	_Atomic uint64_t entered_ms;
	_Atomic int entered_fd;
	pthread_t guard;
};

/* ---- an attempt ---- */

static natsStatus set_nats_options(const struct dial_settings *settings, const struct bus_url *url,
				   struct nats_wire *wire, natsOptions *options)
{
	const struct nats_library *nats = &settings->nats;
	natsStatus status = nats->Options_SetURL(options, url->full);
	bool is_secure = url->is_tls || settings->ca_file[0] != '\0' || settings->certificate[0] != '\0';
	wire->is_tls = is_secure;
#define THEN(call)                                                                                                     \
	if (status == NATS_OK)                                                                                         \
	status = (call)
	THEN(nats->Options_SetName(options, settings->name));
	THEN(nats->Options_SetTimeout(options, settings->connect_ms));
	THEN(nats->Options_SetIOBufSize(options, settings->io_bytes));
	/* We try again ourselves: libnats would hold a lock meanwhile that each call of ours takes. */
	THEN(nats->Options_SetAllowReconnect(options, false));
	THEN(nats->Options_SetIgnoreDiscoveredServers(options, true));
	/* Its timer thread would end the connection under our feet; the bus has probes of its own. */
	THEN(nats->Options_SetPingInterval(options, 0));
	THEN(nats->Options_SetSendAsap(options, true));
	THEN(nats_wire_attach(wire, options));
	if (is_secure) {
		THEN(nats->Options_SetSecure(options, true));
		THEN(nats->Options_SetExpectedHostname(options, url->host));
	}
	if (settings->ca_file[0] != '\0')
		THEN(nats->Options_LoadCATrustedCertificates(options, settings->ca_file));
	if (settings->certificate[0] != '\0')
		THEN(nats->Options_LoadCertificatesChain(options, settings->certificate, settings->key));
	if (settings->credentials[0] != '\0')
		THEN(nats->Options_SetUserCredentialsFromFiles(options, settings->credentials, NULL));
#undef THEN
	return status;
}

static natsStatus subscribe(const struct dial_settings *settings, struct nats_wire *wire)
{
	natsStatus status = NATS_OK;
	for (uint32_t i = 0; i < NATS_WIRE_SUBJECTS && status == NATS_OK; i++)
		status = nats_wire_subscribe(wire, i, settings->subjects[i]);
	return status;
}

static void describe_failure(const struct nats_library *nats, natsStatus status, char fault[BUS_TEXT_BYTES])
{
	const char *more = nats->GetLastError(NULL);
	const char *text = nats->Status_GetText(status);
	if (more != NULL && *more != '\0' && strcmp(more, text) != 0)
		snprintf(fault, BUS_TEXT_BYTES, "%s: %s", text, more);
	else
		snprintf(fault, BUS_TEXT_BYTES, "%s", text);
	for (char *at = fault; *at != '\0'; at++) {
		if (*at < ' ' || *at > '~')
			*at = ' ';
	}
}

/* Blocks. NULL: `fault` says why. */
static struct nats_wire *connect_wire(const struct dial_settings *settings, const struct bus_url *url,
				      char fault[BUS_TEXT_BYTES])
{
	const struct nats_library *nats = &settings->nats;
	struct nats_wire *wire = nats_wire_new(nats);
	natsOptions *options = NULL;
	natsStatus status = wire != NULL ? nats->Options_Create(&options) : NATS_NO_MEMORY;
	if (wire == NULL || status != NATS_OK) {
		snprintf(fault, BUS_TEXT_BYTES, "out of memory");
		nats_wire_free(wire);
		return NULL;
	}
	status = set_nats_options(settings, url, wire, options);
	if (status == NATS_OK)
		status = nats->Connection_Connect(&wire->connection, options);
	nats->Options_Destroy(options);
	if (status == NATS_OK) {
		wire->max_payload = (uint64_t)nats->Connection_GetMaxPayload(wire->connection);
		status = subscribe(settings, wire);
	}
	if (status == NATS_OK)
		return wire;
	describe_failure(nats, status, fault);
	nats_wire_free(wire);
	return NULL;
}

/* ---- threads ---- */

static void do_nothing(int signal)
{
	(void)signal;
}

static void wait_until(struct dial *dial, uint64_t wait_ms)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	uint64_t ns = (uint64_t)until.tv_nsec + wait_ms % 1000 * 1000000u;
	until.tv_sec += (time_t)(wait_ms / 1000 + ns / 1000000000u);
	until.tv_nsec = (long)(ns % 1000000000u);
	pthread_cond_timedwait(&dial->changed, &dial->lock, &until);
}

/* Beside the companion: ends what has lasted too long. It calls nothing of libnats, so nothing holds it up. */
static void *guard_main(void *argument)
{
	struct dial *dial = argument;
	uint64_t trying_since_ms = 0;
	pthread_mutex_lock(&dial->lock);
	while (!dial->is_over) {
		uint64_t now_ms = clock_now_ms();
		uint64_t entered_ms = atomic_load(&dial->entered_ms);
		if (entered_ms != 0 && now_ms > entered_ms + dial->settings.stall_ms)
			shutdown(atomic_load(&dial->entered_fd), SHUT_RDWR);
		trying_since_ms = dial->state != DIAL_TRYING ? 0 : trying_since_ms != 0 ? trying_since_ms : now_ms;
		bool is_late = trying_since_ms != 0 && now_ms >= trying_since_ms + DIAL_ATTEMPT_MS;
		if (is_late || (trying_since_ms != 0 && dial->is_stopping))
			pthread_kill(dial->thread, DIAL_SIGNAL);
		wait_until(dial, LOOK_MS);
	}
	pthread_mutex_unlock(&dial->lock);
	return NULL;
}

static void try_once(struct dial *dial)
{
	char fault[BUS_TEXT_BYTES] = "";
	struct bus_url url = dial->url;
	dial->state = DIAL_TRYING;
	pthread_mutex_unlock(&dial->lock);
	struct nats_wire *wire = connect_wire(&dial->settings, &url, fault);
	pthread_mutex_lock(&dial->lock);
	dial->wire = wire;
	memcpy(dial->fault, fault, sizeof(fault));
	dial->state = DIAL_DONE;
	if (!dial->is_abandoned)
		eventfd_write(dial->waker_fd, 1);
}

static void destroy(struct dial *dial)
{
	nats_wire_free(dial->wire);
	pthread_cond_destroy(&dial->changed);
	pthread_mutex_destroy(&dial->lock);
	free(dial);
}

static void *companion_main(void *argument)
{
	struct dial *dial = argument;
	sigset_t interruption;
	sigemptyset(&interruption);
	sigaddset(&interruption, DIAL_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &interruption, NULL);
	pthread_mutex_lock(&dial->lock);
	while (!dial->is_stopping) {
		if (dial->state == DIAL_ASKED)
			try_once(dial);
		else
			pthread_cond_wait(&dial->changed, &dial->lock);
	}
	dial->is_over = true;
	pthread_cond_broadcast(&dial->changed);
	bool is_abandoned = dial->is_abandoned;
	pthread_mutex_unlock(&dial->lock);
	if (is_abandoned) {
		pthread_join(dial->guard, NULL);
		destroy(dial);
	}
	return NULL;
}

static bool start_companion(struct dial *dial)
{
	/* Without SA_RESTART: what it interrupts returns. */
	struct sigaction action = {.sa_handler = do_nothing};
	sigemptyset(&action.sa_mask);
	sigaction(DIAL_SIGNAL, &action, NULL);
	if (pthread_create(&dial->thread, NULL, companion_main, dial) != 0)
		return false;
	if (pthread_create(&dial->guard, NULL, guard_main, dial) == 0)
		return true;
	pthread_mutex_lock(&dial->lock);
	dial->is_stopping = true;
	pthread_cond_broadcast(&dial->changed);
	pthread_mutex_unlock(&dial->lock);
	pthread_join(dial->thread, NULL);
	return false;
}

struct dial *dial_new(const struct dial_settings *settings, int waker_fd)
{
	struct dial *dial = calloc(1, sizeof(*dial));
	pthread_condattr_t attributes;
	if (dial == NULL)
		return NULL;
	dial->settings = *settings;
	dial->waker_fd = waker_fd;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	CHECK(pthread_mutex_init(&dial->lock, NULL) == 0);
	CHECK(pthread_cond_init(&dial->changed, &attributes) == 0);
	pthread_condattr_destroy(&attributes);
	if (start_companion(dial))
		return dial;
	destroy(dial);
	return NULL;
}

bool dial_free(struct dial *dial, uint32_t wait_ms)
{
	uint64_t until_ms = clock_now_ms() + wait_ms;
	pthread_mutex_lock(&dial->lock);
	dial->is_stopping = true;
	pthread_cond_broadcast(&dial->changed);
	for (uint64_t now_ms = clock_now_ms(); !dial->is_over && now_ms < until_ms; now_ms = clock_now_ms())
		wait_until(dial, until_ms - now_ms);
	bool is_over = dial->is_over;
	dial->is_abandoned = !is_over;
	pthread_mutex_unlock(&dial->lock);
	if (!is_over) {
		pthread_detach(dial->thread);
		return false;
	}
	pthread_join(dial->thread, NULL);
	pthread_join(dial->guard, NULL);
	destroy(dial);
	return true;
}

void dial_begin(struct dial *dial, const struct bus_url *url)
{
	pthread_mutex_lock(&dial->lock);
	CHECK_EQ(dial->state, DIAL_IDLE);
	dial->url = *url;
	dial->state = DIAL_ASKED;
	pthread_cond_broadcast(&dial->changed);
	pthread_mutex_unlock(&dial->lock);
}

bool dial_take(struct dial *dial, struct nats_wire **wire, char fault[BUS_TEXT_BYTES])
{
	pthread_mutex_lock(&dial->lock);
	bool is_done = dial->state == DIAL_DONE;
	if (is_done) {
		*wire = dial->wire;
		memcpy(fault, dial->fault, BUS_TEXT_BYTES);
		dial->wire = NULL;
		dial->state = DIAL_IDLE;
	}
	pthread_mutex_unlock(&dial->lock);
	return is_done;
}

void dial_enter(struct dial *dial, int fd)
{
	atomic_store_explicit(&dial->entered_fd, fd, memory_order_relaxed);
	atomic_store_explicit(&dial->entered_ms, clock_now_ms(), memory_order_release);
}

void dial_leave(struct dial *dial)
{
	atomic_store_explicit(&dial->entered_ms, 0, memory_order_release);
}
