package gateway

import (
	"context"
	"log/slog"
	"time"

	"ticketgate/threading"
)

// lookupPause is the time between two looks at which contacts the CRM is to be
// asked for again.
const lookupPause = 15 * time.Second

// lookUpContacts asks the outside CRM again for those contacts of which it
// could say nothing when their mail came, until ctx ends. The store holds when
// each is due.
func lookUpContacts(ctx context.Context, desk *threading.Service, log *slog.Logger) {
	for wait(ctx, lookupPause) {
		if err := desk.LookUpContacts(ctx); err != nil && ctx.Err() == nil {
			log.Warn("looking up contacts again", "err", err)
		}
	}
}
