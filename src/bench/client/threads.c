#include "bench/client/threads.h"

#include "bench/target/cpu.h"

#include "base/check.h"
#include "reactor/fdtable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* By default a wait ends up to 50 us late, which is as long as a message may take. */
#define TIMER_SLACK_NS 1000u

static void *thread_main(void *argument)
{
	const struct thread *thread = argument;
	const struct thread_setup *setup = &thread->setup;
	cpu_pin(0, setup->cpu);
	if (setup->exact_timers)
		prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
	/* On Linux each thread has a nice value of its own. */
	if (setup->nice > 0)
		setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + setup->nice);
	fdtable_detach(NULL, 0);
	setup->body(thread->worker);
	return NULL;
}

/* Returns 0 or an errno. */
static int start_thread(struct thread *thread)
{
	pthread_attr_t attributes;
	int failure = pthread_attr_init(&attributes);
	if (failure != 0)
		return failure;
	if (thread->setup.stack_bytes > 0)
		CHECK(pthread_attr_setstacksize(&attributes, thread->setup.stack_bytes) == 0);
	failure = pthread_create(&thread->id, &attributes, thread_main, thread);
	pthread_attr_destroy(&attributes);
	return failure;
}

bool threads_start(struct threads *threads, const struct thread_setup *setup, void *workers, uint32_t count)
{
	CHECK(setup->body != NULL && setup->worker_bytes > 0);
	*threads = (struct threads){.list = calloc(count + 1u, sizeof(*threads->list))};
	if (threads->list == NULL) {
		fputs("roost bench: out of memory\n", stderr);
		return false;
	}
	for (; threads->count < count; threads->count++) {
		struct thread *thread = &threads->list[threads->count];
		thread->setup = *setup;
		thread->worker = (char *)workers + threads->count * setup->worker_bytes;
		int failure = start_thread(thread);
		if (failure != 0) {
			fprintf(stderr, "roost bench: thread %u: %s\n", threads->count, strerror(failure));
			return false;
		}
	}
	return true;
}

void threads_join(struct threads *threads)
{
	for (uint32_t i = 0; i < threads->count; i++)
		CHECK(pthread_join(threads->list[i].id, NULL) == 0);
	free(threads->list);
	*threads = (struct threads){0};
}
