package gateway

import (
	"context"
	"log/slog"
	"time"

	"ticketgate/threading"
)

// rulesPause is the time between two looks at which tickets rules wait for.
const rulesPause = 15 * time.Second

// runTimeRules lets the rules look that wait for a time, until ctx ends. The store
// holds how far each has come.
func runTimeRules(ctx context.Context, desk *threading.Service, log *slog.Logger) {
	for wait(ctx, rulesPause) {
		if err := desk.RunTimeRules(ctx); err != nil && ctx.Err() == nil {
			log.Warn("running rules that wait for a time", "err", err)
		}
	}
}
