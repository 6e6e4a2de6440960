//! Prints `gw_layout_pkg.sv`; `make generate` puts it into its place. An argument names another build's sizes.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use guideway_hdl::sizes::Sizes;

fn main() {
    let name = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "default".to_owned());
    let Some(sizes) = Sizes::named(&name) else {
        let names: Vec<&str> = Sizes::ALL.iter().map(|sizes| sizes.name).collect();
        eprintln!("no build is called {name}: use one of {}", names.join(", "));
        std::process::exit(2);
    };
    let mut text = String::new();
    guideway_hdl::sv::write_package(&mut text, sizes).expect("writing to a String cannot fail");
    print!("{text}");
}
