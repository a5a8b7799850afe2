#include "bench/target/broker.h"

#include "bench/dial/dial.h"
#include "bench/target/cpu.h"

#include "base/check.h"
#include "base/clock.h"
#include "reactor/fdtable.h"
#include "tls/certificate/development.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_TIMEOUT_NS 20000000000u
#define LOOK_EVERY_NS 2000000
#define LOG_BYTES_MAX 16384u
#define WORDS_MAX 64u
#define PATH_BYTES 32u
#define MOSQUITTO "/usr/sbin/mosquitto"

_Static_assert(sizeof(MOSQUITTO) <= BROKER_PATH_BYTES, "it is a program like any other");

/* What a child is started with. Its log is a file in memory, so the child never waits for a reader. */
struct launch {
	char text[4096]; /* of the options */
	char listen[32];
	char *argv[WORDS_MAX + 1];
	uint32_t argc;
	/* of mosquitto, files in memory; -1: none */
	int config;
	int certificate;
	int key;
	int log;
};

const char *broker_parse(const char *text, struct broker *out)
{
	char url[URL_TEXT_BYTES];
	size_t digits = strspn(text, "0123456789");
	*out = (struct broker){.kind = BROKER_RUNNING};
	if (strcmp(text, "mosquitto") == 0) {
		*out = (struct broker){.kind = BROKER_MOSQUITTO, .program = MOSQUITTO, .name = "mosquitto"};
		return NULL;
	}
	bool is_port = digits > 0 && text[digits] == '\0';
	if (is_port || strstr(text, "://") != NULL) {
		snprintf(url, sizeof(url), is_port ? "tcp://127.0.0.1:%s" : "%s", text);
		const char *fault = url_parse(url, &out->url);
		snprintf(out->name, sizeof(out->name), "%.24s:%u", out->url.host, (unsigned int)out->url.port);
		return fault;
	}
	size_t path = strcspn(text, " ");
	if (memchr(text, '/', path) == NULL)
		return "is not mosquitto, the path of a Roost, a URL or a port";
	if (path >= sizeof(out->program))
		return "has a path that is too long";
	/* The end of a path distinguishes builds better than its beginning. */
	size_t skip = path >= TARGET_NAME_BYTES ? path - (TARGET_NAME_BYTES - 1) : 0;
	out->kind = BROKER_ROOST;
	out->options = text + path;
	snprintf(out->program, sizeof(out->program), "%.*s", (int)path, text);
	snprintf(out->name, sizeof(out->name), "%.*s", (int)(path - skip), text + skip);
	return NULL;
}

struct broker broker_self(const char *options)
{
	return (struct broker){.kind = BROKER_ROOST, .name = "roost", .program = "/proc/self/exe", .options = options};
}

static bool is_taken(const char *name, const struct broker *others, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (strcmp(name, others[i].name) == 0)
			return true;
	}
	return false;
}

void broker_name_apart(struct broker *broker, const struct broker *others, uint32_t count)
{
	char plain[TARGET_NAME_BYTES];
	memcpy(plain, broker->name, sizeof(plain));
	for (uint32_t number = 2; is_taken(broker->name, others, count); number++)
		snprintf(broker->name, sizeof(broker->name), "%.27s-%u", plain, number % 100);
}

static void add_word(struct launch *launch, const char *word)
{
	CHECK(launch->argc < WORDS_MAX);
	/* execv() wants them without const, and does not write to them. */
	launch->argv[launch->argc++] = (char *)(uintptr_t)word;
}

/* Returns false if there are too many options, or if they are too long. */
static bool plan_roost(const struct broker *broker, struct launch *launch)
{
	const char *const first[] = {"serve", "--listen", launch->listen, "--admin", "off"};
	char *rest = NULL;
	snprintf(launch->listen, sizeof(launch->listen), "%s://127.0.0.1:0", url_scheme_name(broker->scheme));
	add_word(launch, broker->program);
	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
		add_word(launch, first[i]);
	if (strlen(broker->options) >= sizeof(launch->text))
		return false;
	snprintf(launch->text, sizeof(launch->text), "%s", broker->options);
	for (char *word = strtok_r(launch->text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
		if (launch->argc == WORDS_MAX)
			return false;
		add_word(launch, word);
	}
	return true;
}

/* Puts the bytes into a file in memory, and its path, good in this process and its children, into path. */
static bool keep_in_memory(const char *name, struct slice bytes, int *file, char path[PATH_BYTES])
{
	*file = memfd_create(name, 0);
	snprintf(path, PATH_BYTES, "/proc/self/fd/%d", *file);
	return *file >= 0 && write(*file, bytes.data, bytes.size) == (ssize_t)bytes.size;
}

/* Returns false without memory, random numbers or descriptors. */
static bool make_certificate(struct launch *launch, char certificate[PATH_BYTES], char key[PATH_BYTES])
{
	char fault[TLS_FAULT_BYTES_MAX];
	struct tls_development made;
	if (!tls_development_identity(NULL, (int64_t)time(NULL), &made, fault)) {
		fprintf(stderr, "roost bench: mosquitto's certificate: %s\n", fault);
		return false;
	}
	bool good =
		keep_in_memory("certificate", made.pem[TLS_DEVELOPMENT_SERVER], &launch->certificate, certificate) &&
		keep_in_memory("key", made.pem[TLS_DEVELOPMENT_SERVER_KEY], &launch->key, key);
	tls_development_fini(&made);
	return good;
}

static bool plan_mosquitto(const struct broker *broker, struct launch *launch, char path[PATH_BYTES], uint16_t port)
{
	char text[1024];
	char certificate[PATH_BYTES];
	char key[PATH_BYTES];
	bool is_tls = broker->scheme == URL_TLS || broker->scheme == URL_WSS;
	bool is_websocket = broker->scheme == URL_WS || broker->scheme == URL_WSS;
	if (port == 0 || (is_tls && !make_certificate(launch, certificate, key)))
		return false;
	int size = snprintf(text, sizeof(text),
			    "listener %u 127.0.0.1\n%sallow_anonymous true\npersistence false\nset_tcp_nodelay true\n"
			    "connection_messages false\nlog_dest stderr\n",
			    (unsigned int)port, is_websocket ? "protocol websockets\n" : "");
	if (is_tls)
		size += snprintf(text + size, sizeof(text) - (size_t)size, "certfile %s\nkeyfile %s\n", certificate,
				 key);
	/* Of WebSocket listeners alone it says that it cannot start any, and ends (2.0.11, over TLS). */
	if (is_websocket)
		size += snprintf(text + size, sizeof(text) - (size_t)size, "listener %u 127.0.0.1\n",
				 (unsigned int)dial_draw_port());
	if (!keep_in_memory("mosquitto.conf", slice_of(text, (size_t)size), &launch->config, path))
		return false;
	add_word(launch, broker->program);
	add_word(launch, "-c");
	add_word(launch, path);
	return true;
}

/* In the child: async-signal-safe calls only, until exec. */
static _Noreturn void become(const struct launch *launch, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	int nothing = open("/dev/null", O_RDONLY);
	if (getppid() == parent && dup2(nothing, STDIN_FILENO) >= 0 && dup2(launch->log, STDOUT_FILENO) >= 0 &&
	    dup2(launch->log, STDERR_FILENO) >= 0)
		execv(launch->argv[0], launch->argv);
	_exit(127);
}

static void read_log(int log, char *out)
{
	ssize_t got = pread(log, out, LOG_BYTES_MAX - 1, 0);
	out[got > 0 ? got : 0] = '\0';
}

/* Waits until the log contains the word. Returns false if the child has ended or the time is up. */
static bool wait_for(const struct launch *launch, struct target *target, const char *word, char *log)
{
	static const struct timespec rest = {.tv_nsec = LOOK_EVERY_NS};
	uint64_t end_ns = clock_now_ns() + START_TIMEOUT_NS;
	do {
		read_log(launch->log, log);
		if (strstr(log, word) != NULL)
			return true;
		if (waitpid(target->pid, NULL, WNOHANG) == target->pid) {
			target->pid = 0;
			return false;
		}
		nanosleep(&rest, NULL);
	} while (clock_now_ns() < end_ns);
	return false;
}

/* Finds where Roost says that it listens for this scheme. */
static bool find_url(const char *log, enum url_scheme scheme, struct url *out)
{
	static const char key[] = "listening on ";
	char text[URL_TEXT_BYTES];
	for (const char *at = log; (at = strstr(at, key)) != NULL;) {
		at += sizeof(key) - 1;
		snprintf(text, sizeof(text), "%.*s", (int)strcspn(at, " ,\n\""), at);
		if (url_parse(text, out) == NULL && out->scheme == scheme)
			return true;
	}
	return false;
}

static bool run_child(const struct broker *broker, const struct launch *launch, struct url *url,
		      const struct transport_options *options, struct target *target)
{
	char log[LOG_BYTES_MAX] = "";
	pid_t parent = getpid();
	if (access(broker->program, X_OK) != 0) {
		fprintf(stderr, "roost bench: %s: %s\n", broker->program, strerror(errno));
		return false;
	}
	snprintf(target->name, sizeof(target->name), "%s", broker->name);
	/* Children inherit it. */
	fdtable_raise_limit();
	target->pid = fork();
	if (target->pid == 0)
		become(launch, parent);
	if (target->pid < 0) {
		fprintf(stderr, "roost bench: %s: %s\n", broker->name, strerror(errno));
		return false;
	}
	target->is_child = true;
	bool is_roost = broker->kind == BROKER_ROOST;
	bool good = wait_for(launch, target, is_roost ? " ready\n" : " running\n", log) &&
		    (!is_roost || find_url(log, broker->scheme, url));
	const char *fault = good ? url_resolve(url, &target->address) : "did not start";
	if (fault != NULL)
		fprintf(stderr, "roost bench: %s (%s): %s\n%s", broker->name, launch->argv[0], fault, log);
	target->url = *url;
	return fault == NULL && transport_open(&target->transport, url, options);
}

static void close_file(int file)
{
	if (file >= 0)
		close(file);
}

bool broker_open(const struct broker *broker, pid_t pid, const struct transport_options *options, struct target *target)
{
	struct launch launch = {.config = -1, .certificate = -1, .key = -1, .log = -1};
	struct url url = {.host = "127.0.0.1", .scheme = broker->scheme};
	char config_path[PATH_BYTES];
	CHECK(broker->scheme != URL_UNIX);
	if (broker->kind == BROKER_RUNNING)
		return target_open(target, broker->name, &broker->url, pid, options);
	*target = (struct target){.cpu = CPU_ANY};
	bool good;
	if (broker->kind == BROKER_ROOST) {
		good = plan_roost(broker, &launch);
	} else {
		/* mosquitto does not accept port 0. */
		url.port = dial_draw_port();
		good = plan_mosquitto(broker, &launch, config_path, url.port);
		if (url_is_websocket(&url))
			snprintf(url.path, sizeof(url.path), "/mqtt");
	}
	launch.log = memfd_create("log", 0);
	if (good && launch.log >= 0)
		good = run_child(broker, &launch, &url, options, target);
	else
		fprintf(stderr, "roost bench: %s: too many words, or no descriptor or port\n", broker->name);
	close_file(launch.config);
	close_file(launch.certificate);
	close_file(launch.key);
	close_file(launch.log);
	return good && target->pid > 0;
}
