// Package offering reads offering folders: the contract in offering.yaml and the
// Terraform modules beside it. From the contract it makes everything that must
// agree with it (the JSON Schema, the Backstage form, the reference page, the
// command line's flags), and it finds what does not agree.
//
// It must not know prices, policies or stores: what it needs of them is passed
// in, and only Lint and Open take it.
//
// # A folder
//
//	postgres-database/            the folder's name is the offering's id
//	  offering.yaml               the contract
//	  module/<implementation>/    Terraform for one kind of place
//	  template.yaml               the form, generated
//	  examples/*.yaml             requests with the verdicts that they must get
//	  README.md                   for the person who chooses
//
// The contract and the modules are the offering; the rest may change without a
// new version.
package offering
