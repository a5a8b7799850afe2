/* Limits that administrators configure: those of a systemd service and of logins. Pure: text in, figures out. What the
 * real parsers would refuse is READING_UNREADABLE here, or skipped. Any thread. */
#ifndef DOCTOR_MACHINE_SERVICE_H
#define DOCTOR_MACHINE_SERVICE_H

#include "doctor/machine/reading.h"

/* Zeroed at first: nothing is configured. */
struct service {
	struct reading descriptors; /* LimitNOFILE, or the manager's DefaultLimitNOFILE: the hard limit */
	struct reading tasks;       /* TasksMax */
	struct reading memory;      /* MemoryMax */
};

/* What "50%" is a share of. */
struct service_whole {
	struct reading tasks;
	struct reading memory;
};

/* Applies a unit file, a drop-in or system.conf on top of what came before: the last assignment counts, and an empty
 * value withdraws earlier ones (systemd.unit(5), systemd.exec(5)). */
void service_apply(struct service *service, struct slice text, const struct service_whole *whole);

/* Applies a file of pam_limits on top: the hard nofile limit of every user ("*"), limits.conf(5). */
void service_apply_logins(struct reading *descriptors, struct slice text);

#endif
