#include "bench/target/neighbours.h"

#include "bench/target/process.h"

#include "base/check.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void spin(pid_t parent)
{
	static const struct sched_param none = {0};
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "neighbour");
	sched_setscheduler(0, SCHED_OTHER, &none);
	if (getppid() != parent)
		_exit(0);
	for (volatile uint64_t turns = 0;; turns++)
		;
}

bool neighbours_start(struct neighbours *neighbours, uint32_t count)
{
	pid_t parent = getpid();
	CHECK(count <= NEIGHBOURS_MAX);
	neighbours->count = 0;
	while (neighbours->count < count) {
		pid_t pid = fork();
		if (pid == 0)
			spin(parent);
		if (pid < 0) {
			fprintf(stderr, "roost bench: --neighbour: %s\n", strerror(errno));
			return false;
		}
		neighbours->pids[neighbours->count++] = pid;
	}
	return true;
}

void neighbours_stop(struct neighbours *neighbours)
{
	for (uint32_t i = 0; i < neighbours->count; i++) {
		kill(neighbours->pids[i], SIGKILL);
		while (waitpid(neighbours->pids[i], NULL, 0) < 0 && errno == EINTR)
			;
	}
	neighbours->count = 0;
}

uint64_t neighbours_cpu_ns(const struct neighbours *neighbours)
{
	CHECK(neighbours->count <= NEIGHBOURS_MAX);
	uint64_t sum = 0;
	for (uint32_t i = 0; i < neighbours->count; i++)
		sum += process_cpu_ns(neighbours->pids[i]);
	return sum;
}
