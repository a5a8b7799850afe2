#include "upgrade/upgrade.h"

#include "admin/admin.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/gateway.h"
#include "memory/notes.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define DELETED " (deleted)"

struct upgrade {
	pthread_mutex_t lock; /* guards status and wanted */
	struct upgrade_status status;
	char wanted[UPGRADE_PATH_BYTES];
	char started_from[UPGRADE_PATH_BYTES];
	char *arguments_text;
	char **arguments; /* of this process, NULL-terminated; the first is its name */
	size_t argument_count;
	bool is_cut; /* there are more of them than the way back knows */
	int asked_fd;
};

/* ---- what this process is ---- */

static size_t count_words(const char *text, size_t size)
{
	size_t count = 0;
	for (size_t at = 0; at < size; at += strlen(text + at) + 1)
		count++;
	return count;
}

/* The words of /proc/self/cmdline: main's own may have been changed. */
static bool read_words(struct upgrade *upgrade)
{
	int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	char *text = upgrade->arguments_text = calloc(1, HEIR_ARGUMENTS_BYTES_MAX + 1);
	size_t size = 0;
	ssize_t got = 1;
	while (file >= 0 && text != NULL && size < HEIR_ARGUMENTS_BYTES_MAX && got > 0) {
		got = read(file, text + size, HEIR_ARGUMENTS_BYTES_MAX - size);
		size += got > 0 ? (size_t)got : 0;
	}
	if (file >= 0)
		close(file);
	if (size == 0)
		return false;
	upgrade->argument_count = count_words(text, size);
	upgrade->is_cut = size == HEIR_ARGUMENTS_BYTES_MAX || upgrade->argument_count > HEIR_ARGUMENTS_MAX;
	upgrade->arguments = calloc(upgrade->argument_count + 1, sizeof(*upgrade->arguments));
	if (upgrade->arguments == NULL)
		return false;
	for (size_t i = 0; i < upgrade->argument_count; text += strlen(text) + 1)
		upgrade->arguments[i++] = text;
	return upgrade->argument_count >= 2;
}

/* The name that the program was started by, where it has a path: a link in it is followed anew, so that it may lead to
 * another version. Else the file itself. Of a file that was replaced since, the kernel says that it is deleted. */
static bool find_program(struct upgrade *upgrade)
{
	char *path = upgrade->started_from;
	const char *name = upgrade->arguments[0];
	if (name[0] == '/') {
		snprintf(path, UPGRADE_PATH_BYTES, "%s", name);
		return true;
	}
	if (strchr(name, '/') != NULL) {
		char folder[UPGRADE_PATH_BYTES / 2];
		if (getcwd(folder, sizeof(folder)) == NULL)
			return false;
		return snprintf(path, UPGRADE_PATH_BYTES, "%s/%s", folder, name) < (int)UPGRADE_PATH_BYTES;
	}
	ssize_t size = readlink("/proc/self/exe", path, UPGRADE_PATH_BYTES - 1);
	if (size < 0)
		return false;
	path[size] = '\0';
	size_t suffix = sizeof(DELETED) - 1;
	if ((size_t)size > suffix && strcmp(path + size - suffix, DELETED) == 0)
		path[(size_t)size - suffix] = '\0';
	return true;
}

struct upgrade *upgrade_new(const struct heir *heir)
{
	struct upgrade *upgrade = calloc(1, sizeof(*upgrade));
	if (upgrade == NULL)
		return NULL;
	CHECK(pthread_mutex_init(&upgrade->lock, NULL) == 0);
	upgrade->asked_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (upgrade->asked_fd >= 0 && read_words(upgrade) && find_program(upgrade))
		return upgrade;
	(void)heir;
	log_write(LOG_ERROR, "how this program was started cannot be found out: %s", strerror(errno));
	upgrade_free(upgrade);
	return NULL;
}

void upgrade_free(struct upgrade *upgrade)
{
	if (upgrade->asked_fd >= 0)
		close(upgrade->asked_fd);
	pthread_mutex_destroy(&upgrade->lock);
	free(upgrade->arguments);
	free(upgrade->arguments_text);
	free(upgrade);
}

/* ---- asking ---- */

bool upgrade_ask(struct upgrade *upgrade, const char *path, char *why, size_t why_size)
{
	bool good = false;
	pthread_mutex_lock(&upgrade->lock);
	if (upgrade->status.state == UPGRADE_ASKED)
		snprintf(why, why_size, "an upgrade is under way");
	else if (strlen(path) >= sizeof(upgrade->wanted))
		snprintf(why, why_size, "the path is longer than %zu bytes", sizeof(upgrade->wanted) - 1);
	else
		good = true;
	if (good) {
		snprintf(upgrade->wanted, sizeof(upgrade->wanted), "%s",
			 path[0] != '\0' ? path : upgrade->started_from);
		upgrade->status.state = UPGRADE_ASKED;
		upgrade->status.number++;
		upgrade->status.why[0] = '\0';
		eventfd_write(upgrade->asked_fd, 1);
	}
	pthread_mutex_unlock(&upgrade->lock);
	return good;
}

void upgrade_status(struct upgrade *upgrade, struct upgrade_status *status)
{
	pthread_mutex_lock(&upgrade->lock);
	*status = upgrade->status;
	pthread_mutex_unlock(&upgrade->lock);
}

int upgrade_fd(const struct upgrade *upgrade)
{
	return upgrade->asked_fd;
}

/* ---- carrying it out ---- */

static void upgrade_note_refusal(struct upgrade *upgrade, const char *why)
{
	pthread_mutex_lock(&upgrade->lock);
	upgrade->status.state = UPGRADE_REFUSED;
	upgrade->status.refused++;
	snprintf(upgrade->status.why, sizeof(upgrade->status.why), "%s", why);
	pthread_mutex_unlock(&upgrade->lock);
	log_always(LOG_ERROR, "not upgraded: %s", why);
}

static void fill_note(struct upgrade *upgrade, const struct gateway *gateway, const struct gateway_frozen *frozen,
		      const struct admin *admin, struct heir_note *note)
{
	struct counters *sum = calloc(1, sizeof(*sum));
	CHECK(sum != NULL);
	gateway_counters(gateway, sum);
	struct upgrade_status status;
	upgrade_status(upgrade, &status);
	*note = (struct heir_note){
		.asked_ns = frozen->asked_ns,
		.quiet_from_ns = frozen->quiet_from_ns,
		.quiet_ns = frozen->quiet_ns,
		.frozen_ns = frozen->frozen_ns,
		.clients = atomic_load(&sum->values[COUNTER_connections_open]),
		.number = status.number,
		.done = status.done,
		.refused = status.refused,
		.closed = frozen->closed,
		.admin = admin_listener(admin),
	};
	snprintf(note->from, sizeof(note->from), "%s", ROOST_VERSION);
	note->execve_ns = clock_now_ns();
	free(sum);
}

static void keep_open(int fd, bool keep)
{
	if (fd >= 0)
		CHECK(fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC) == 0);
}

/* Returns only where it fails: why. */
static void execute(struct upgrade *upgrade, const char *path, int root_fd, int program_fd, char *why, size_t why_size)
{
	char fds[32];
	char *name = upgrade->arguments[0];
	snprintf(fds, sizeof(fds), "%d %d", root_fd, program_fd);
	if (setenv(HEIR_ENV_ROOT, fds, 1) == 0) {
		upgrade->arguments[0] = (char *)(uintptr_t)path;
		fflush(NULL);
		execv(path, upgrade->arguments);
	}
	snprintf(why, why_size, "%.200s cannot be executed: %s", path, strerror(errno));
	upgrade->arguments[0] = name;
	unsetenv(HEIR_ENV_ROOT);
}

/* The gateway is frozen. Returns only where it is to be thawed. */
static void leave(struct upgrade *upgrade, const char *path, struct gateway *gateway, const struct admin *admin,
		  const struct gateway_frozen *frozen, char *why, size_t why_size)
{
	int root_fd;
	int program = open("/proc/self/exe", O_RDONLY);
	if (program < 0) {
		snprintf(why, why_size, "this program cannot be opened: %s", strerror(errno));
		return;
	}
	if (gateway_leave(gateway, &root_fd, why, why_size)) {
		struct heir_note note;
		fill_note(upgrade, gateway, frozen, admin, &note);
		keep_open(note.admin.fd, true);
		if (notes_put(gateway_notes(gateway), HEIR_SCOPE, "heir", &note, sizeof(note)) == ERROR_OK)
			execute(upgrade, path, root_fd, program, why, why_size);
		else
			snprintf(why, why_size, "%s", error_sentence(ERROR_NO_MEMORY));
		keep_open(note.admin.fd, false);
		gateway_stay(gateway);
	}
	close(program);
}

static void freeze_and_leave(struct upgrade *upgrade, const char *path, struct gateway *gateway,
			     const struct admin *admin, const struct upgrade_users *users, char *why, size_t why_size)
{
	const struct gateway_guest guest = {.leave = users->leave, .context = users->context};
	struct gateway_frozen frozen;
	admin_await_answers(admin);
	if (!gateway_freeze(gateway, &guest, &frozen)) {
		snprintf(why, why_size, "%s", frozen.why);
		return;
	}
	leave(upgrade, path, gateway, admin, &frozen, why, why_size);
	if (!gateway_thaw(gateway))
		abort(); /* better a restart by whoever watches the process than one that stands still */
}

static void replace(struct upgrade *upgrade, const char *path, struct gateway *gateway, const struct admin *admin,
		    const struct upgrade_users *users, char *why, size_t why_size)
{
	users->stop(users->context);
	freeze_and_leave(upgrade, path, gateway, admin, users, why, why_size);
	users->start(users->context);
}

/* Whether the way back would lead to this program as it was started. False: why. */
static bool can_be_repeated(const struct upgrade *upgrade, char *why, size_t why_size)
{
	size_t variables = 0;
	while (environ[variables] != NULL)
		variables++;
	if (upgrade->is_cut)
		snprintf(why, why_size,
			 "this program was started with more than %u arguments, or more than %zu KiB of them",
			 HEIR_ARGUMENTS_MAX, HEIR_ARGUMENTS_BYTES_MAX >> 10);
	else if (variables > HEIR_ENVIRONMENT_MAX)
		snprintf(why, why_size, "this program was started with more than %u environment variables",
			 HEIR_ENVIRONMENT_MAX);
	return !upgrade->is_cut && variables <= HEIR_ENVIRONMENT_MAX;
}

/* False: why. */
static bool try_out(const struct upgrade *upgrade, const struct gateway *gateway, const char *path, char *why,
		    size_t why_size)
{
	struct trial trial;
	struct store_refusal refusal;
	if (!trial_may_run(path, &trial) || !trial_run(path, upgrade->arguments + 1, &trial)) {
		snprintf(why, why_size, "%s", trial.why);
		return false;
	}
	if (!gateway_may_follow(gateway, trial.storage, &refusal)) {
		snprintf(why, why_size, "%.200s (%s) cannot go on with the store: %s", path, trial.version,
			 refusal.why);
		return false;
	}
	if (trial.converts[0] != '\0')
		log_always(LOG_INFO, "upgrading to %s (%s), which converts memory of another layout, %s first", path,
			   trial.version, trial.converts);
	else
		log_always(LOG_INFO, "upgrading to %s (%s)", path, trial.version);
	return true;
}

static void show_counts(struct upgrade *upgrade, struct admin *admin)
{
	struct upgrade_status status;
	upgrade_status(upgrade, &status);
	admin_set_upgrades(admin, status.done, status.refused, status.silent_us);
}

void upgrade_run(struct upgrade *upgrade, struct gateway *gateway, struct admin *admin,
		 const struct upgrade_users *users)
{
	char path[UPGRADE_PATH_BYTES];
	char why[HEIR_WHY_BYTES] = "";
	eventfd_t count;
	if (eventfd_read(upgrade->asked_fd, &count) != 0)
		return;
	pthread_mutex_lock(&upgrade->lock);
	memcpy(path, upgrade->wanted, sizeof(path));
	pthread_mutex_unlock(&upgrade->lock);
	if (gateway_settings(gateway)->drain.number != 0)
		snprintf(why, sizeof(why), "the gateway is being drained");
	else if (can_be_repeated(upgrade, why, sizeof(why)) && try_out(upgrade, gateway, path, why, sizeof(why)))
		replace(upgrade, path, gateway, admin, users, why, sizeof(why));
	upgrade_note_refusal(upgrade, why);
	show_counts(upgrade, admin);
}

void upgrade_begun(struct upgrade *upgrade, struct heir *heir, struct admin *admin)
{
	const struct heir_note *note = &heir->note;
	keep_open(note->admin.fd, false);
	heir_serves(heir);
	pthread_mutex_lock(&upgrade->lock);
	struct upgrade_status *status = &upgrade->status;
	*status = (struct upgrade_status){
		.state = heir->why[0] == '\0' ? UPGRADE_DONE : UPGRADE_REFUSED,
		.number = note->number,
		.clients = note->clients,
		.closed = note->closed,
		.silent_us = (clock_now_ns() - note->quiet_from_ns) / 1000u,
		.done = note->done + (heir->why[0] == '\0'),
		.refused = note->refused + (heir->why[0] != '\0'),
	};
	snprintf(status->from, sizeof(status->from), "%s", note->from);
	snprintf(status->why, sizeof(status->why), "%s", heir->why);
	pthread_mutex_unlock(&upgrade->lock);
	show_counts(upgrade, admin);
}
