package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"

	"ticketgate/gateway/gateway"
)

type serveCommand struct{}

// Run serves until SIGTERM or SIGINT, and then drains. A second one ends the
// process at once: what was answered is stored, the rest is sent again.
func (serveCommand) Run(ctx context.Context, w *world) error {
	c, err := w.settings()
	if err != nil {
		return err
	}
	log, level := gateway.NewLogger(c, w.stderr)
	for _, warning := range c.Warnings {
		log.Warn(warning)
	}
	listeners, err := gateway.SystemdListeners()
	if err != nil {
		return err
	}
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return err
	}
	d := gateway.New(c, gateway.Options{
		Log: log, Level: level, Version: currentVersion(), Listeners: listeners, Out: w.stdout, Watchdog: watchdog,
		Notify: func(state string) {
			if _, err := daemon.SdNotify(false, state); err != nil {
				log.Warn("telling the service manager", "err", err)
			}
		},
	})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	go obey(ctx, signals, cancel, func() { reload(w, d, log) })
	return d.Run(ctx)
}

// obey does what signals say, until the process ends.
func obey(ctx context.Context, signals <-chan os.Signal, drain, reload func()) {
	for s := range signals {
		switch {
		case s == syscall.SIGHUP:
			reload()
		case ctx.Err() != nil:
			os.Exit(exitFailed) // told twice
		default:
			drain()
		}
	}
}

// reload takes what can change in a running daemon. A configuration that is no
// good any more changes nothing.
func reload(w *world, d *gateway.Daemon, log *slog.Logger) {
	notify(log, daemon.SdNotifyReloading+"\n"+daemon.SdNotifyMonotonicUsec())
	defer notify(log, daemon.SdNotifyReady)
	c, err := w.settings()
	if err == nil {
		err = d.Reload(c)
	}
	if err != nil {
		log.Error("reload failed, what was in use stays", "err", err)
		return
	}
	log.Info("reloaded: log level and certificates")
}

func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("telling the service manager", "err", err)
	}
}
