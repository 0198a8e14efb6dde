//! The program: runs the command line and maps its result to an exit code.

fn main() -> std::process::ExitCode {
    saastap::cli::main()
}
