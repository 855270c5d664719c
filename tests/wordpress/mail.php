<?php
/**
 * Has WordPress send its own mails, through its own mailer and whatever PHP's sendmail_path names.
 *
 * php mail.php FOLDER ADDRESS, a JSON list of { site_name, login, email, new_email, locale } on standard input. For
 * each: the welcome of a user with this login, then the notice about the new address. The user is gone afterwards; what
 * WordPress made of the login and of the site's name is on standard output.
 */

define( 'REAL_MAIL', true );
require __DIR__ . '/load.php';
require ABSPATH . 'wp-admin/includes/user.php';
require ABSPATH . 'wp-admin/includes/ms.php';

$made = array();
foreach ( json_decode( stream_get_contents( STDIN ), true, 512, JSON_THROW_ON_ERROR ) as $case ) {
	update_option( 'blogname', $case['site_name'] );
	$id = wp_insert_user(
		array(
			'user_login' => $case['login'],
			'user_email' => $case['email'],
			'user_pass'  => 'x',
			'locale'     => $case['locale'],
		)
	);
	if ( is_wp_error( $id ) ) {
		throw new RuntimeException( $id->get_error_code() );
	}
	// Every request starts with a mailer of its own; one that is used again keeps its last encoding.
	$phpmailer = null;
	wp_new_user_notification( $id, null, 'user' );
	$phpmailer = null;
	wp_update_user(
		array(
			'ID'         => $id,
			'user_email' => $case['new_email'],
		)
	);
	$user   = get_userdata( $id );
	$made[] = array(
		'user_login'    => $user->user_login,
		'user_nicename' => $user->user_nicename,
		'options'       => $wpdb->options,
		'blogname'      => $wpdb->get_var( "SELECT option_value FROM $wpdb->options WHERE option_name = 'blogname'" ),
	);
	if ( is_multisite() ) {
		wpmu_delete_user( $id );
	} else {
		wp_delete_user( $id );
	}
}
echo json_encode( $made, JSON_THROW_ON_ERROR );
