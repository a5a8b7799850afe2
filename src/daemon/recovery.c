#include "daemon/recovery.h"

#include "admin/admin.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/notify.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define SHOW_EVERY_MS 1000u
#define BAR_WIDTH 40u

void recovery_begin(struct recovery *recovery, struct admin *admin)
{
	*recovery = (struct recovery){
		.admin = admin,
		.next_ms = clock_now_ms() + SHOW_EVERY_MS,
		.is_terminal = isatty(STDERR_FILENO) == 1,
	};
}

/* They are blocked in all threads, so they wait until somebody asks for them. */
static void stop_if_asked(struct recovery *recovery)
{
	sigset_t pending;
	CHECK(sigpending(&pending) == 0);
	if (sigismember(&pending, SIGTERM) != 1 && sigismember(&pending, SIGINT) != 1)
		return;
	recovery_end(recovery);
	log_write(LOG_INFO, "stopped while the store was being recovered; it is as it was");
	_exit(EXIT_SUCCESS);
}

static void draw_bar(struct recovery *recovery, uint32_t percent)
{
	char bar[BAR_WIDTH + 1];
	for (uint32_t i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < percent * BAR_WIDTH / 100 ? '#' : '.';
	bar[BAR_WIDTH] = '\0';
	fprintf(stderr, "\rrecovering the store [%s] %3u %%", bar, percent);
	recovery->is_drawn = true;
}

void recovery_show(void *context, uint64_t done, uint64_t all)
{
	struct recovery *recovery = context;
	CHECK(done <= all);
	uint32_t percent = all != 0 ? (uint32_t)((double)done / (double)all * 100) : 100;
	admin_set_recovery(recovery->admin, percent);
	stop_if_asked(recovery);
	if (done == all) {
		recovery_end(recovery); /* the log goes on below it */
		return;
	}
	uint64_t now_ms = clock_now_ms();
	if (now_ms < recovery->next_ms)
		return;
	recovery->next_ms = now_ms + SHOW_EVERY_MS;
	notify_starting("recovering the store: %u %%", percent);
	if (recovery->is_terminal)
		draw_bar(recovery, percent);
	else
		log_write(LOG_INFO, "recovering the store: %u %%", percent);
}

void recovery_end(struct recovery *recovery)
{
	if (recovery->is_drawn)
		fputs("\r\033[K", stderr); /* to the end of the line */
	recovery->is_drawn = false;
}
