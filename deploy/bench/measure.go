package main

import (
	"context"
	"fmt"
	"io"
)

// plan is one run.
type plan struct {
	sessions []int
	rounds   int
	messages int // a measurement
	warm     int // sent to each target before the first one
	limit    string
	mix      mix
}

// measure sends to all targets in turn, round by round, so that what disturbs
// the machine disturbs all of them; each gets the same mails in the same order.
func measure(ctx context.Context, p plan, w *writer, targets []target, progress io.Writer) (result, error) {
	limit, err := p.limitOf(targets)
	if err != nil {
		return result{}, err
	}
	if err := p.warmUp(ctx, w, targets); err != nil {
		return result{}, err
	}
	out := result{Limit: targets[limit].name}
	for _, sessions := range p.sessions {
		found, err := p.measureAt(ctx, w, targets, sessions, progress)
		if err != nil {
			return out, err
		}
		for i, t := range targets {
			out.Rows = append(out.Rows, summarise(t.name, sessions, found[i], found[limit]))
		}
	}
	for i := range targets {
		out.Peaks = append(out.Peaks, targets[i].peak())
	}
	return out, nil
}

// limitOf finds the target that the others are held against.
func (p *plan) limitOf(targets []target) (int, error) {
	if p.limit == "" {
		return 0, nil
	}
	for i, t := range targets {
		if t.name == p.limit {
			return i, nil
		}
	}
	return 0, fmt.Errorf("no target is called %q", p.limit)
}

func (p *plan) warmUp(ctx context.Context, w *writer, targets []target) error {
	if p.warm == 0 {
		return nil
	}
	mails, err := w.mails(p.warm)
	if err != nil {
		return err
	}
	for _, t := range targets {
		m, err := send(ctx, t, p.mix.to, mails, min(4, p.warm))
		if err != nil {
			return err
		}
		if m.sent == 0 {
			return fmt.Errorf("%s takes no mail: %s", t.name, m.complaint)
		}
	}
	return nil
}

// measureAt runs all rounds with one number of sessions; the target that begins
// changes with the round. It gives the measurements by target and round.
func (p *plan) measureAt(ctx context.Context, w *writer, targets []target, sessions int, progress io.Writer) ([][]measurement, error) {
	found := make([][]measurement, len(targets))
	for round := range p.rounds {
		mails, err := w.mails(p.messages)
		if err != nil {
			return nil, err
		}
		for k := range targets {
			i := (k + round) % len(targets)
			m, err := send(ctx, targets[i], p.mix.to, mails, sessions)
			if err != nil {
				return nil, err
			}
			found[i] = append(found[i], m)
			_, _ = fmt.Fprintf(progress, "s=%d round %d %s: %.0f/s\n", sessions, round+1, targets[i].name, m.rate())
		}
	}
	return found, nil
}
