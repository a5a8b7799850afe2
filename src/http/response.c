#include "http/response.h"

#include "base/check.h"

#include <stdio.h>
#include <time.h>

#define DATE_BYTES_MAX 64

/* [RFC 9110, 5.6.7]. strftime() would depend on the locale. */
static void print_date(int64_t date_s, char text[DATE_BYTES_MAX])
{
	static const char *const DAYS[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char *const MONTHS[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t seconds = (time_t)date_s;
	struct tm date;
	CHECK(gmtime_r(&seconds, &date) != NULL);
	snprintf(text, DATE_BYTES_MAX, "%s, %02d %s %04d %02d:%02d:%02d GMT", DAYS[date.tm_wday], date.tm_mday,
		 MONTHS[date.tm_mon], date.tm_year + 1900, date.tm_hour, date.tm_min, date.tm_sec);
}

size_t http_response_write(const struct http_response *response, char head[HTTP_RESPONSE_HEAD_BYTES_MAX])
{
	char date[DATE_BYTES_MAX];
	print_date(response->date_s, date);
	CHECK(!(response->close && response->goes_on));
	const char *connection = response->close ? "Connection: close\r\n" : "";
	if (response->goes_on)
		connection = "Connection: keep-alive\r\n";
	int bytes = snprintf(head, HTTP_RESPONSE_HEAD_BYTES_MAX,
			     "HTTP/1.1 %d %s\r\nDate: %s\r\n%sContent-Length: %zu\r\n%s\r\n", (int)response->status,
			     http_status_phrase(response->status), date, connection, response->body_bytes,
			     response->fields);
	CHECK(bytes > 0 &&
	      (size_t)bytes < HTTP_RESPONSE_HEAD_BYTES_MAX); /* a head cut short would corrupt the response */
	return (size_t)bytes;
}
