//! Prints `gw_layout_pkg.sv`; `make generate` puts it into its place.
#![allow(clippy::print_stdout)]

fn main() {
    let mut text = String::new();
    guideway_hdl::sv::write_package(&mut text).expect("writing to a String cannot fail");
    print!("{text}");
}
