package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// cleanup is a stack of what must be ended, last made first ended. It is safe
// for concurrent use: of two calls of run one ends everything, the other waits.
type cleanup struct {
	running sync.Mutex // held by run

	mu    sync.Mutex // guards steps
	steps []step
}

type step struct {
	name string
	end  func(ctx context.Context) error
}

// push adds a step; end must return soon after ctx ended.
func (c *cleanup) push(name string, end func(ctx context.Context) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps = append(c.steps, step{name, end})
}

// pushClose adds a step that knows no context.
func (c *cleanup) pushClose(name string, end func() error) {
	c.push(name, func(context.Context) error { return end() })
}

// run ends everything, whatever fails, and empties the stack.
func (c *cleanup) run(ctx context.Context) error {
	c.running.Lock()
	defer c.running.Unlock()
	c.mu.Lock()
	steps := c.steps
	c.steps = nil
	c.mu.Unlock()
	var failed error
	for _, s := range slices.Backward(steps) {
		if err := s.end(ctx); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	return failed
}
