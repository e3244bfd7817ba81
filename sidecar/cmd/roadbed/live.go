package main

import (
	"log/slog"
	"os"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"roadbed.dev/roadbed/sidecar/internal/cost"
	"roadbed.dev/roadbed/sidecar/internal/offering"
	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// livePrices prices by the policies in force.
type livePrices struct {
	current atomic.Pointer[cost.Pricer]
}

// Price implements provision.Pricer.
func (p *livePrices) Price(o provision.Offering, given provision.Parameters) (provision.Estimate, error) {
	return p.current.Load().Price(o, given)
}

// liveCatalog shows presets at the price that is in force.
type liveCatalog struct {
	*offering.Catalog
	prices *livePrices
}

// Offering implements provision.Catalog.
func (c liveCatalog) Offering(id string) (provision.Offering, error) {
	o, err := c.Catalog.Offering(id)
	return c.priced(o), err
}

// Offerings implements provision.Catalog.
func (c liveCatalog) Offerings() []provision.Offering {
	all := c.Catalog.Offerings()
	for i, o := range all {
		all[i] = c.priced(o)
	}
	return all
}

func (c liveCatalog) priced(o provision.Offering) provision.Offering {
	presets := append([]provision.Preset(nil), o.Presets...)
	for i, preset := range presets {
		if estimate, err := c.prices.Price(o, preset.Parameters); err == nil {
			presets[i].MonthlyCost = estimate.MonthlyCost
		}
	}
	if o.Presets != nil {
		o.Presets = presets
	}
	return o
}

// follow makes the domain decide by whatever good policies and prices dir holds,
// from now on; without a folder they are built in and stay.
func (d *domain) follow(dir string, log *slog.Logger) error {
	if dir == "" {
		return nil
	}
	prices := &livePrices{}
	live, err := policy.NewLive(policy.LiveConfig{
		Files: os.DirFS(dir), Log: log,
		Adopt: func(b *policy.Bundle) error {
			book, err := cost.ParseBook(b.PricesYAML())
			if err != nil {
				return err
			}
			prices.current.Store(cost.New(book))
			return nil
		},
	})
	if err != nil {
		return err
	}
	d.live, d.authorizer, d.served = live, live, liveCatalog{d.catalog, prices}
	d.judge.Prices, d.judge.Rules = prices, live
	return nil
}

// meter tells how old the policies in force are, and whether newer ones were
// refused.
func (d *domain) meter(registry *prometheus.Registry) {
	if d.live == nil {
		return
	}
	registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "roadbed_policy_bundle_age_seconds", Help: "How long the policies have been in force.",
		}, func() float64 { return d.live.Age().Seconds() }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "roadbed_policy_bundle_refused", Help: "1 while the folder of policies holds what was refused, else 0.",
		}, func() float64 {
			if d.live.Err() != nil {
				return 1
			}
			return 0
		}),
	)
}
