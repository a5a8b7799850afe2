#include "bench/target/broker.h"

#include "bench/target/cpu.h"
#include "bench/target/dial.h"

#include "base/check.h"
#include "base/clock.h"
#include "reactor/fdtable.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
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
#define MOSQUITTO "/usr/sbin/mosquitto"

_Static_assert(sizeof(MOSQUITTO) <= BROKER_PATH_BYTES, "it is a program like any other");

/* What a child is started with. Its log is a file in memory, so the child never waits for a reader. */
struct launch {
	char text[4096]; /* of the options */
	char *argv[WORDS_MAX + 1];
	uint32_t argc;
	int config; /* of mosquitto, a file in memory; -1: none */
	int log;
};

const char *broker_parse(const char *text, struct broker *out)
{
	char url[URL_HOST_BYTES + 32];
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
	static const char *const first[] = {"serve", "--listen", "tcp://127.0.0.1:0", "--admin", "off"};
	char *rest = NULL;
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

/* mosquitto does not accept port 0, so we choose a free port for it. */
static uint16_t draw_port(void)
{
	struct url loopback = {.host = "127.0.0.1", .port = 0};
	struct address address;
	if (url_resolve(&loopback, &address) != NULL)
		return 0;
	int listener = dial_listen(&address, 1);
	if (listener < 0)
		return 0;
	close(listener);
	return ntohs(((const struct sockaddr_in *)&address.storage)->sin_port);
}

static bool plan_mosquitto(const struct broker *broker, struct launch *launch, char *path, size_t path_bytes,
			   uint16_t port)
{
	launch->config = memfd_create("mosquitto.conf", 0);
	if (launch->config < 0 || port == 0)
		return false;
	dprintf(launch->config,
		"listener %u 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n"
		"connection_messages false\nlog_dest stderr\n",
		(unsigned int)port);
	snprintf(path, path_bytes, "/proc/self/fd/%d", launch->config);
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

/* Finds where Roost says that it listens. */
static bool find_url(const char *log, struct url *out)
{
	static const char key[] = "listening on ";
	char text[URL_HOST_BYTES];
	const char *at = strstr(log, key);
	if (at == NULL)
		return false;
	at += sizeof(key) - 1;
	snprintf(text, sizeof(text), "%.*s", (int)strcspn(at, " \n\""), at);
	return url_parse(text, out) == NULL;
}

static bool run_child(const struct broker *broker, const struct launch *launch, struct url *url, struct target *target)
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
		    (!is_roost || find_url(log, url));
	const char *fault = good ? url_resolve(url, &target->address) : "did not start";
	if (fault != NULL)
		fprintf(stderr, "roost bench: %s (%s): %s\n%s", broker->name, launch->argv[0], fault, log);
	return fault == NULL;
}

bool broker_open(const struct broker *broker, pid_t pid, struct target *target)
{
	struct launch launch = {.config = -1, .log = -1};
	struct url url = {.host = "127.0.0.1"};
	char config_path[32];
	if (broker->kind == BROKER_RUNNING)
		return target_open(target, broker->name, &broker->url, pid);
	*target = (struct target){.cpu = CPU_ANY};
	bool good;
	if (broker->kind == BROKER_ROOST) {
		good = plan_roost(broker, &launch);
	} else {
		url.port = draw_port();
		good = plan_mosquitto(broker, &launch, config_path, sizeof(config_path), url.port);
	}
	launch.log = memfd_create("log", 0);
	if (good && launch.log >= 0)
		good = run_child(broker, &launch, &url, target);
	else
		fprintf(stderr, "roost bench: %s: too many words, or no descriptor or port\n", broker->name);
	if (launch.config >= 0)
		close(launch.config);
	if (launch.log >= 0)
		close(launch.log);
	return good && target->pid > 0;
}
