#include "bench/target/target.h"

#include "bench/dial/dial.h"
#include "bench/target/cpu.h"
#include "bench/target/process.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define FLOOR_BACKLOG 4096

bool target_open(struct target *target, const char *name, const struct url *url, pid_t pid,
		 const struct transport_options *options)
{
	static const struct transport_options none = {0};
	CHECK(options != NULL || url->scheme == URL_TCP);
	*target = (struct target){.url = *url, .pid = pid, .cpu = CPU_ANY};
	snprintf(target->name, sizeof(target->name), "%s", name);
	const char *fault = url_resolve(url, &target->address);
	if (fault != NULL) {
		fprintf(stderr, "roost bench: %s: %s\n", url->host, fault);
		return false;
	}
	if (!transport_open(&target->transport, url, options != NULL ? options : &none))
		return false;
	int failure = dial_probe(&target->address);
	if (failure != 0) {
		char text[URL_TEXT_BYTES];
		url_print(url, text);
		fprintf(stderr, "roost bench: %s: %s\n", text, strerror(failure));
		return false;
	}
	if (pid == 0)
		target->pid = process_listening(&target->address);
	if (process_cpu_ns(target->pid) == 0) {
		fprintf(stderr,
			"roost bench: no process of ours listens there: figures of the server's processor time and "
			"memory are n/a (--server-pid names it)\n");
		target->pid = 0;
	}
	return true;
}

/* In the child: async-signal-safe calls only, until exec. */
static _Noreturn void become_floor(int listener, const char *listener_text, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() == parent && fcntl(listener, F_SETFD, 0) == 0)
		execl("/proc/self/exe", "roost", "bench", "floor", "--listen-fd", listener_text, (char *)NULL);
	_exit(127);
}

bool target_open_floor(struct target *target)
{
	struct url loopback = {.host = "127.0.0.1", .port = 0};
	char listener_text[16];
	*target = (struct target){.name = "floor", .cpu = CPU_ANY, .is_child = true};
	const char *fault = url_resolve(&loopback, &target->address);
	/* The listener is opened here, so that connections can queue on it before the child is up and no port has to be
	 * guessed. */
	int listener = fault == NULL ? dial_listen(&target->address, FLOOR_BACKLOG) : -EINVAL;
	if (listener < 0) {
		fprintf(stderr, "roost bench: floor: %s\n", fault != NULL ? fault : strerror(-listener));
		return false;
	}
	snprintf(listener_text, sizeof(listener_text), "%d", listener);
	pid_t parent = getpid();
	target->pid = fork();
	if (target->pid == 0)
		become_floor(listener, listener_text, parent);
	close(listener);
	if (target->pid < 0) {
		fprintf(stderr, "roost bench: floor: %s\n", strerror(errno));
		return false;
	}
	return true;
}

void target_dial(const struct target *target, bool no_delay, struct dial *dial)
{
	dial_init(dial, &target->address, no_delay);
	if (transport_is_layered(&target->transport))
		dial->transport = &target->transport;
}

void target_close(struct target *target)
{
	transport_close(&target->transport);
	if (!target->is_child || target->pid <= 0)
		return;
	kill(target->pid, SIGTERM);
	while (waitpid(target->pid, NULL, 0) < 0 && errno == EINTR)
		;
	target->pid = 0;
}
